"""Executions whose retry was changed while they waited: their workflow is begun anew in the place of the one before."""

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.common import TypedSearchAttributes
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.handover import Handover, Starter
from domain.messages import ExecutionInput
from runtime.temporal import SCHEDULED_AT, SCHEDULED_BY

REPLACED = "Its retry was changed: it is begun anew"
TRIES = 3  # somebody else may change it at the same time; upkeep sees to what is left


async def input_of(client: Client, workflow: WorkflowExecution) -> ExecutionInput:
    """From the first event of its history, which alone has it."""
    handle = client.get_workflow_handle(workflow.id, run_id=workflow.run_id)
    async for event in handle.fetch_history_events(page_size=1):
        payloads = event.workflow_execution_started_event_attributes.input.payloads
        [given] = await workflow.data_converter.decode(payloads, [ExecutionInput])
        assert isinstance(given, ExecutionInput)
        return given
    raise LookupError(f"{workflow.id} has no history")


class Replacer:
    """The ledger says first what shall be. A workflow begun with an older edition of the retry never goes on, so it may
    be ended at any time, and whoever does this may be killed at any point and repeat it."""

    def __init__(self, client: Client, starter: Starter) -> None:
        self._client = client
        self._starter = starter

    async def replace(self, handover: Handover) -> bool:
        """False: it was begun so already."""
        for _ in range(TRIES):
            described = await self._described(handover.workflow_id or handover.execution_id)
            if described is not None:
                if (await input_of(self._client, described)).retry.edition >= handover.retry.edition:
                    return False
                if described.status == WorkflowExecutionStatus.RUNNING:
                    await self._end(described)
            elif handover.workflow_id is not None:
                return False  # a schedule's, which only its workflow can tell
            try:
                await self._starter.begin_anew(handover, _kept(described))
            except WorkflowAlreadyStartedError:
                continue
            return True
        return False

    async def _described(self, workflow_id: str) -> WorkflowExecutionDescription | None:
        try:
            return await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return None

    async def _end(self, described: WorkflowExecution) -> None:
        """That very run: another one may have been begun meanwhile."""
        try:
            await self._client.get_workflow_handle(described.id, run_id=described.run_id).terminate(REPLACED)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise


def _kept(described: WorkflowExecution | None) -> TypedSearchAttributes:
    """By which the workflow of a schedule's execution is known as such."""
    if described is None:
        return TypedSearchAttributes.empty
    names = {SCHEDULED_BY.name, SCHEDULED_AT.name}
    return TypedSearchAttributes([pair for pair in described.typed_search_attributes if pair.key.name in names])
