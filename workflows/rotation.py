"""A rotation of keys, stage after stage in bounded batches; whatever is killed in between goes on where it was."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.jobs import JobActivities
    from activities.rotation import RotationActivities
    from domain.messages import ROTATE_WORKFLOW, JobEnd, RotateBatch, RotateInput
    from domain.rotation import REPLACED, advanced, ended, outcome
    from workflows import policies


@workflow.defn(name=ROTATE_WORKFLOW)
class RotateKeysWorkflow:
    @workflow.run
    async def run(self, state: RotateInput) -> None:
        if not state.stages:
            state.stages = await workflow.execute_activity_method(
                RotationActivities.plan_rotation, state, summary="Plan", **policies.ROTATION
            )
        while not ended(state):
            state = advanced(state, await _batch(state))
            if workflow.info().is_continue_as_new_suggested() and not ended(state):
                workflow.continue_as_new(state)
        await _end(outcome(state))


async def _batch(state: RotateInput) -> RotateBatch:
    stage = state.stages[state.at]
    if stage == REPLACED and not state.cursor:
        await workflow.sleep(policies.READERS_GRACE)
    return await workflow.execute_activity_method(
        RotationActivities.rotate_batch, state, summary=stage, **policies.ROTATION
    )


async def _end(end: JobEnd) -> None:
    await workflow.execute_local_activity_method(JobActivities.end_job, end, **policies.LEDGER)
