"""Bulk replay: one after another at its rate, then watched until the last has ended, or until too many have failed.

The ledger knows every item and what people want; this is the order of things. Whatever is killed, begun anew it finds
the settled items settled.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from datetime import timedelta

    from activities.replays import ReplayActivities
    from domain.bulk import ReplayInput, ReplayPlan, ReplayProgress, ReplayTurn
    from domain.messages import REPLAY_SIGNAL, REPLAY_WORKFLOW, JobEnd
    from domain.pausing import pace
    from domain.upgrades import Wish
    from workflows import policies


@workflow.defn(name=REPLAY_WORKFLOW)
class ReplayWorkflow:
    """Its id is the job's. The signal says: look at the ledger, somebody wants something else now."""

    def __init__(self) -> None:
        self._nudged = False
        self._looks = 0

    @workflow.signal(name=REPLAY_SIGNAL)
    def look(self) -> None:
        self._nudged = True

    @workflow.run
    async def run(self, message: ReplayInput) -> None:
        plan: ReplayPlan = await workflow.execute_local_activity_method(
            ReplayActivities.begin_replay, message.job_id, **policies.LEDGER
        )
        if plan.proceed:
            end = await self._conduct(message, plan)
            await workflow.execute_local_activity_method(ReplayActivities.end_replay, end, **policies.LEDGER)

    async def _conduct(self, message: ReplayInput, plan: ReplayPlan) -> JobEnd:
        position = message.position
        while True:
            self._nudged, began = False, workflow.time()
            progress: ReplayProgress = await workflow.execute_activity_method(
                ReplayActivities.replay_some,
                ReplayTurn(message.job_id, position),
                summary="Replay",
                **policies.RELEASE,
            )
            position = progress.position
            end = _end(message.job_id, progress)
            if end is not None:
                return end
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(ReplayInput(message.job_id, position))
            await self._rest(progress, began + pace(plan.rate_per_second))

    async def _rest(self, progress: ReplayProgress, next_turn: float) -> None:
        """Until the next ones may go out, the replays are worth another look, or somebody wants something."""
        if progress.wish == Wish.PAUSE:
            await workflow.wait_condition(lambda: self._nudged)
            return
        seconds = max(next_turn - workflow.time(), 0.0)
        if progress.all_begun:
            self._looks += 1
            seconds = max(seconds, policies.between_looks(self._looks) / timedelta(seconds=1))
        try:
            await workflow.wait_condition(lambda: self._nudged, timeout=seconds)
        except TimeoutError:
            return


def _end(job_id: str, progress: ReplayProgress) -> JobEnd | None:
    if progress.wish == Wish.ABORT:
        return JobEnd(job_id, "aborted")
    if progress.stopped is not None:
        return JobEnd(job_id, "failed", progress.stopped)
    return JobEnd(job_id, "succeeded") if progress.over else None
