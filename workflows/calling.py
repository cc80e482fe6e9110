"""A step that calls another flow: accepted by an activity, then waited for by its signal, or looked at now and then."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.calls import CallActivities
    from domain.messages import Called, CallInput, CallSight
    from workflows import failures, policies
    from workflows.failures import AttemptFailed


@dataclass
class Calling:
    """Of one attempt: which of the executions that it has called have told of their end."""

    ended: set[str] = field(default_factory=set)

    def tell(self, execution_id: str) -> None:
        self.ended.add(execution_id)

    async def call(self, message: CallInput) -> Any:
        """The value of the step. Raises AttemptFailed."""
        try:
            called: Called = await workflow.execute_local_activity_method(
                CallActivities.call_flow, message, summary=message.flow, **policies.LEDGER
            )
        except (ActivityError, ApplicationError) as error:
            failure = failures.of_activity(error, message.path)
            failure.step = message.path
            raise AttemptFailed(failure) from error
        if called.kept:
            return called.value
        if not message.waits:
            return {"execution_id": called.execution_id}
        return await self._result(called.execution_id, message.path)

    async def _result(self, execution_id: str, path: str) -> Any:
        looks = 0
        while not (sight := await _look(execution_id)).ended:
            try:
                with suppress(TimeoutError):
                    timeout = policies.between_looks_at_called(looks)
                    await workflow.wait_condition(lambda: execution_id in self.ended, timeout=timeout)
            except asyncio.CancelledError:
                await _cancel(execution_id)
                raise
            self.ended.discard(execution_id)
            looks += 1
        if sight.failure is not None:
            sight.failure.step = path
            raise AttemptFailed(sight.failure)
        return sight.value


async def _look(execution_id: str) -> CallSight:
    sight: CallSight = await workflow.execute_local_activity_method(
        CallActivities.look_at_called, execution_id, **policies.LEDGER
    )
    return sight


async def _cancel(execution_id: str) -> None:
    """Nobody waits for it any more. One that has ended, or waits in its queue, has no workflow to cancel."""
    with suppress(ApplicationError):
        await asyncio.shield(workflow.get_external_workflow_handle(execution_id).cancel())
