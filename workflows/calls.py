"""Calling a step's activity: local, regular, or local first. The activity bears the action's name and the step's, so
that the Web UI reads like the flow."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from domain.messages import RunStepInput, RunStepResult
    from workflows import policies


@dataclass
class Calls:
    """Local results reach the server with the end of a workflow task, all in one message of bounded size."""

    unsent: int = 0

    async def regular(self, step: RunStepInput) -> RunStepResult:
        self.unsent = 0
        result: RunStepResult = await workflow.execute_activity(
            step.action, step, result_type=RunStepResult, summary=_summary(step), **policies.outside_step(step)
        )
        return result

    async def local(self, step: RunStepInput) -> RunStepResult:
        await self._send_when_full()
        result: RunStepResult = await workflow.execute_local_activity(
            step.action, step, result_type=RunStepResult, summary=_summary(step), **policies.local_step(step)
        )
        return result

    async def local_first(self, step: RunStepInput) -> RunStepResult:
        """One try without a transition of its own; when it has failed and may be repeated, a regular activity goes on.

        A request once sent is never given up to be moved: the try ends by itself.
        """
        await self._send_when_full()
        try:
            result: RunStepResult = await workflow.execute_local_activity(
                step.action, step, result_type=RunStepResult, summary=_summary(step), **policies.local_try(step)
            )
        except ApplicationError as error:
            if error.non_retryable:
                raise
            await workflow.sleep(error.next_retry_delay or timedelta(seconds=1), summary=_summary(step))
            return await self.regular(step)
        return result

    async def _send_when_full(self) -> None:
        self.unsent += 1
        if self.unsent > policies.MOST_UNSENT:
            self.unsent = 0
            await workflow.sleep(timedelta(milliseconds=1), summary="Save progress")


def _summary(step: RunStepInput) -> str:
    return step.name[:200]
