"""Usage and the conservation ledger, counted every few minutes."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.usage import UsageActivities
    from domain.messages import USAGE_WORKFLOW
    from domain.sweeps import UsageReport
    from workflows import policies


@workflow.defn(name=USAGE_WORKFLOW)
class UsageWorkflow:
    @workflow.run
    async def run(self) -> UsageReport:
        return await workflow.execute_activity_method(UsageActivities.count_usage, summary="Count", **policies.CHORE)
