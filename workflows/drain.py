"""Drain: what a pause has held is discarded or starts, in its order and at its rate, until nothing is held."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from dataclasses import replace

    from activities.drains import DrainActivities
    from domain.messages import DRAIN_WORKFLOW, Drained, DrainInput
    from domain.pausing import Keep, pace
    from workflows import policies

BURSTS = 1000  # in one history


@workflow.defn(name=DRAIN_WORKFLOW)
class DrainWorkflow:
    """Its id is the job's. The ledger knows whose turn it is; a pause takes the turn away, and so ends it."""

    @workflow.run
    async def run(self, message: DrainInput) -> None:
        if message.keep != Keep.ALL and not message.sifted:
            await workflow.execute_activity_method(
                DrainActivities.sift_held, message, summary="Discard", **policies.CHORE
            )
        for _ in range(BURSTS):
            began = workflow.time()
            drained: Drained = await workflow.execute_activity_method(
                DrainActivities.release_held, message, summary="Release", **policies.RELEASE
            )
            if drained.over:
                return
            await workflow.sleep(max(began + pace(message.rate_per_second) - workflow.time(), 0.0))
        workflow.continue_as_new(replace(message, sifted=True))
