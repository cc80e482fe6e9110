"""The sweep for monitors and event endpoints, started every few seconds by a Temporal Schedule."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.watching import WatchActivities
    from domain.messages import WATCH_WORKFLOW
    from domain.sweeps import WatchInput, WatchReport
    from workflows import policies


@workflow.defn(name=WATCH_WORKFLOW)
class WatchWorkflow:
    @workflow.run
    async def run(self, message: WatchInput) -> WatchReport:
        return await workflow.execute_activity_method(WatchActivities.watch, message, summary="Watch", **policies.WATCH)
