"""Deleting an instance or a customer, piece by piece: every activity may be repeated, and killed at any point."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.acceptance import Request, accept
from activities.deployments import Deployments
from activities.jobs import JobActivities
from activities.metering import FlowNames, Tally
from activities.payloads import EMPTY, Payloads
from activities.schedules import Schedules
from domain.executions import TERMINAL, Status, TriggerKind
from domain.messages import DeleteInput, DeletePlan
from runtime.clock import utcnow
from store.customers import Customers
from store.engine import Database
from store.executions import Executions
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.removal import Removal
from store.tables import CustomerRow, ExecutionRow

BATCH = 200
REMOVE_FLOW_SECONDS = 30.0
CANCEL_GRACE_SECONDS = 10.0
POLL_SECONDS = 0.25


class DeletionActivities:
    def __init__(
        self,
        client: Client,
        database: Database,
        deployments: Deployments,
        payloads: Payloads,
        schedules: Schedules,
        jobs: JobActivities,
    ) -> None:
        self._client = client
        self._database = database
        self._deployments = deployments
        self._payloads = payloads
        self._schedules = schedules
        self._jobs = jobs

    @activity.defn
    async def plan_customer_removal(self, message: DeleteInput) -> DeletePlan:
        """Marks the customer's instances as being deleted and gives their ids."""
        async with self._database.transaction() as session:
            ids = await Customers(session).instance_ids(message.object_id)
            for instance_id in ids:
                instance = await Instances(session).get(instance_id, for_update=True)
                if instance is not None:
                    instance.deleting = True
                flows = await InstanceFlows(session).of_instance(instance_id, active_only=False)
                await InstanceFlows(session).add_tombstones([flow.token for flow in flows], utcnow())
        return DeletePlan(instance_ids=list(ids))

    @activity.defn
    async def accept_remove_flows(self, message: DeleteInput) -> DeletePlan:
        """Accepts one execution per remove-trigger flow of a deployed instance; repeated, it finds the same ones."""
        await self._jobs.progress(message.job_id, stage="remove_flows")
        key = f"remove:{message.job_id}"
        async with self._database.transaction() as session:
            held = await Executions(session).of_deployment(key, message.object_id)
            if not held:
                await self._accept_remove_flows(session, message.object_id, key)
                held = await Executions(session).of_deployment(key, message.object_id)
        return DeletePlan(remove_executions=list(held))

    async def _accept_remove_flows(self, session: AsyncSession, instance_id: str, key: str) -> None:
        instance = await Instances(session).get(instance_id, for_update=True)
        if instance is None or instance.deployment_id is None:
            return
        deployment = await self._deployments.get(instance.deployment_id, session)
        customer = await session.get_one(CustomerRow, instance.customer_id)
        for flow in await InstanceFlows(session).of_instance(instance_id):
            if flow.trigger == TriggerKind.REMOVE:
                request = Request(flow, instance, customer, deployment, payload=EMPTY, dedupe_key=key)
                await accept(session, self._payloads, request)

    @activity.defn
    async def await_executions(self, execution_ids: list[str]) -> None:
        """Up to 30 s for all of them; how they end does not matter to the delete."""
        deadline = asyncio.get_running_loop().time() + REMOVE_FLOW_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            async with self._database.snapshot() as session:
                rows = [await session.get(ExecutionRow, execution_id) for execution_id in execution_ids]
            if all(row is None or row.status in TERMINAL or row.status == Status.RETRYING for row in rows):
                return
            activity.heartbeat()
            await asyncio.sleep(POLL_SECONDS)

    @activity.defn
    async def remove_schedules(self, instance_id: str) -> None:
        async with self._database.snapshot() as session:
            flows = await InstanceFlows(session).of_instance(instance_id, active_only=False)
        for flow in flows:
            await self._schedules.delete(flow.id)
            activity.heartbeat()

    @activity.defn
    async def stop_executions(self, message: DeleteInput) -> None:
        """Cancels what is open, and terminates what has not ended after a grace."""
        await self._jobs.progress(message.job_id, stage="stopping")
        while rows := await self._open(message.object_id):
            running = await self._each(rows, self._cancel)
            await self._wait_for(message.object_id, running)
            await self._each(running, self._terminate)
            tally, names = Tally(), FlowNames()
            async with self._database.transaction() as session:
                for row in rows:
                    values = {"status": Status.CANCELED, "reason": "instance_deleted", "check_after": None}
                    if await Executions(session).move(row.id, row.max_attempts, {**values, "ended_at": utcnow()}):
                        keys = await names.of(session, row.instance_flow_id)
                        tally.finished(keys, row, Status.CANCELED)
            tally.count()

    @activity.defn
    async def remove_executions(self, message: DeleteInput) -> None:
        """Histories in Temporal, then rows and blobs, in batches."""
        await self._jobs.progress(message.job_id, stage="executions")
        removed = 0
        while True:
            async with self._database.snapshot() as session:
                rows = await Executions(session).of_instance(message.object_id, after="", limit=BATCH)
            if not rows:
                break
            await self._each(rows, self._delete_history)
            async with self._database.transaction() as session:
                await Removal(session).executions(
                    [row.id for row in rows], [row.workflow_id for row in rows if row.workflow_id]
                )
            removed += len(rows)
            await self._jobs.progress(message.job_id, done=removed)
            activity.heartbeat()
        await self._delete_other_runs(message.object_id)

    @activity.defn
    async def remove_instance(self, message: DeleteInput) -> None:
        async with self._database.transaction() as session:
            await Removal(session).instance(message.object_id)

    @activity.defn
    async def remove_customer(self, message: DeleteInput) -> None:
        async with self._database.transaction() as session:
            await Customers(session).delete(message.object_id)

    async def _open(self, instance_id: str) -> Sequence[ExecutionRow]:
        async with self._database.snapshot() as session:
            return await Executions(session).open_of_instance(instance_id, BATCH)

    async def _wait_for(self, instance_id: str, rows: Sequence[ExecutionRow]) -> None:
        ids = {row.id for row in rows}
        deadline = asyncio.get_running_loop().time() + CANCEL_GRACE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if not ids & {row.id for row in await self._open(instance_id)}:
                return
            activity.heartbeat()
            await asyncio.sleep(POLL_SECONDS)

    async def _each(
        self, rows: Sequence[ExecutionRow], act: Callable[[str], Awaitable[None]]
    ) -> Sequence[ExecutionRow]:
        """Those that Temporal knew. What is not in Temporal (any more) is as it should be."""
        return [row for row in rows if await _was_there(act(row.workflow_id or row.id))]

    async def _cancel(self, workflow_id: str) -> None:
        await self._client.get_workflow_handle(workflow_id).cancel(rpc_timeout=timedelta(seconds=5))

    async def _terminate(self, workflow_id: str) -> None:
        await self._client.get_workflow_handle(workflow_id).terminate("The instance is deleted")

    async def _delete_history(self, workflow_id: str, run_id: str = "") -> None:
        """Of its latest run, unless another one is named."""
        request = DeleteWorkflowExecutionRequest(
            namespace=self._client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        )
        await self._client.workflow_service.delete_workflow_execution(request)

    async def _delete_other_runs(self, instance_id: str) -> None:
        """Each earlier attempt is a run with a history of its own, which only Temporal's own list names."""
        async for run in self._client.list_workflows(f"InstanceId = '{instance_id}'"):
            await _was_there(self._delete_history(run.id, run.run_id))
            activity.heartbeat()


async def _was_there(call: Awaitable[None]) -> bool:
    try:
        await call
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True
