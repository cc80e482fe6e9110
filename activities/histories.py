"""What Temporal holds of executions and jobs: asking them to end, ending them, deleting their histories."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

AT_ONCE = 16


class Histories:
    """Every call says whether Temporal knew the workflow: what it does not know (any more) is as it should be."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def cancel(self, workflow_id: str) -> bool:
        handle = self._client.get_workflow_handle(workflow_id)
        return await _was_there(handle.cancel(rpc_timeout=timedelta(seconds=5)))

    async def terminate(self, workflow_id: str) -> bool:
        return await _was_there(self._client.get_workflow_handle(workflow_id).terminate("The instance is deleted"))

    async def delete(self, workflow_id: str, run_id: str = "") -> bool:
        """Of its latest run, unless another one is named. Temporal does it at its leisure; a run under way ends."""
        request = DeleteWorkflowExecutionRequest(
            namespace=self._client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        )
        return await _was_there(self._client.workflow_service.delete_workflow_execution(request))

    async def of_instance(self, instance_id: str) -> AsyncIterator[tuple[str, str]]:
        """Workflow and run ids. Each earlier attempt is a run with a history of its own, which only this list names."""
        async for run in self._client.list_workflows(f"InstanceId = '{instance_id}'"):
            yield run.id, run.run_id


async def for_each(workflow_ids: Sequence[str], act: Callable[[str], Awaitable[bool]]) -> list[str]:
    """A few at once; those that Temporal knew."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def guarded(workflow_id: str) -> bool:
        async with gate:
            return await act(workflow_id)

    known = await asyncio.gather(*(guarded(workflow_id) for workflow_id in workflow_ids))
    return [workflow_id for workflow_id, was_there in zip(workflow_ids, known, strict=True) if was_there]


async def _was_there(call: Awaitable[object]) -> bool:
    try:
        await call
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True
