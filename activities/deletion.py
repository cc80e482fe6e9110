"""Deleting an instance or a customer, piece by piece: every activity may be repeated, and killed at any point."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.client import Client

from activities.acceptance import Request, accept
from activities.deployments import Deployments
from activities.endpoints import bury
from activities.histories import Histories, for_each
from activities.jobs import JobActivities
from activities.metering import FlowNames, Tally
from activities.outbox import announce_removals
from activities.outcomes import note_failure
from activities.payloads import EMPTY, Payloads
from activities.schedules import Schedules
from domain.executions import TERMINAL, Status, TriggerKind
from domain.messages import DeleteInput, DeletePlan, deploy_workflow_id, queue_workflow_id
from runtime.clock import utcnow
from store.customers import Customers
from store.engine import Database
from store.executions import Executions
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.jobs import Jobs
from store.removal import Removal
from store.tables import CustomerRow, ExecutionRow

BATCH = 200
ROWS = 1000  # in one transaction
INSTANCES = 20  # of a customer in one history
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
        remove_flow_seconds: float = REMOVE_FLOW_SECONDS,
    ) -> None:
        self._histories = Histories(client)
        self._database = database
        self._deployments = deployments
        self._payloads = payloads
        self._schedules = schedules
        self._jobs = jobs
        self._remove_flow_seconds = remove_flow_seconds

    def all(self) -> list[Callable[..., Any]]:
        return [
            self.plan_customer_removal,
            self.accept_remove_flows,
            self.await_executions,
            self.remove_schedules,
            self.stop_executions,
            self.remove_executions,
            self.remove_instance,
            self.remove_customer,
        ]

    @activity.defn
    async def plan_customer_removal(self, message: DeleteInput) -> DeletePlan:
        """Marks the customer's instances as being deleted and names the next ones."""
        async with self._database.transaction() as session:
            marked = await Customers(session).mark_instances(message.object_id)
            await announce_removals(session, marked, message.principal)
            ids = await Customers(session).instance_ids(message.object_id, INSTANCES + 1)
        return DeletePlan(instance_ids=list(ids[:INSTANCES]), more=len(ids) > INSTANCES)

    @activity.defn
    async def accept_remove_flows(self, message: DeleteInput) -> DeletePlan:
        """Accepts one execution per remove-trigger flow of a deployed instance; repeated, it finds the same ones."""
        await self._jobs.enter(message.job_id, "remove_flows")
        key = _remove_key(message.object_id)
        async with self._database.transaction() as session:
            held = await Executions(session).of_deployment(key, message.object_id)
            if not held:
                await self._accept_remove_flows(session, message.object_id, key)
                held = await Executions(session).of_deployment(key, message.object_id)
        return DeletePlan(remove_executions=list(held))

    async def _accept_remove_flows(self, session: AsyncSession, instance_id: str, key: str) -> None:
        instance = await Instances(session).get(instance_id, for_update=True)
        if instance is None:
            return
        await bury(session, instance, utcnow())
        if instance.deployment_id is None:
            return
        deployment = await self._deployments.get(instance.deployment_id, session)
        customer = await session.get_one(CustomerRow, instance.customer_id)
        for flow in await InstanceFlows(session).of_instance(instance_id):
            if flow.trigger == TriggerKind.REMOVE:
                request = Request(flow, instance, customer, deployment, payload=EMPTY, dedupe_key=key)
                await accept(session, self._payloads, request)

    @activity.defn
    async def await_executions(self, execution_ids: list[str]) -> None:
        """Up to 30 s: they run beside each other. How they end does not matter to the delete; it is noted."""
        deadline = asyncio.get_running_loop().time() + self._remove_flow_seconds
        while under_way := await self._under_way(execution_ids):
            if asyncio.get_running_loop().time() >= deadline:
                break
            activity.heartbeat()
            await asyncio.sleep(POLL_SECONDS)
        async with self._database.transaction() as session:
            for row in under_way:
                await note_failure(session, row, "timed_out", utcnow())

    @activity.defn
    async def remove_schedules(self, message: DeleteInput) -> None:
        await self._jobs.enter(message.job_id, "schedules")
        async with self._database.snapshot() as session:
            flows = await InstanceFlows(session).of_instance(message.object_id, active_only=False)
        removed = 0
        for flow in flows:
            removed += await self._schedules.delete(flow.id)
            activity.heartbeat()
        await self._report(message, Counter(schedules=removed))

    @activity.defn
    async def stop_executions(self, message: DeleteInput) -> None:
        """Cancels what is open, and terminates what has not ended after a grace. What is held or queued just ends."""
        await self._jobs.enter(message.job_id, "stopping")
        while rows := await self._open(message.object_id):
            known = await for_each([_workflow_id(row) for row in rows], self._histories.cancel)
            running = [row for row in rows if _workflow_id(row) in known]
            await self._wait_for(message.object_id, running)
            await for_each([_workflow_id(row) for row in running], self._histories.terminate)
            await self._close(rows)

    @activity.defn
    async def remove_executions(self, message: DeleteInput) -> None:
        """Histories in Temporal, then rows and blobs, in batches; then what other runs and workflows have left."""
        await self._jobs.enter(message.job_id, "executions")
        while rows := await self._oldest(message.object_id):
            workflow_ids = sorted({_workflow_id(row) for row in rows})
            known = await for_each(workflow_ids, self._histories.delete)
            outcomes = Counter(row.status for row in rows if row.dedupe_key == _remove_key(message.object_id))
            async with self._database.transaction() as session:
                gone = await Removal(session).executions([row.id for row in rows], workflow_ids)
                jobs, now = Jobs(session), utcnow()
                gone["histories"] = len(known)
                await jobs.add_up(message.job_id, +gone, now, under="removed", done=len(rows))
                if outcomes:
                    await jobs.add_up(message.job_id, outcomes, now, under="remove_flows")
            activity.heartbeat()
        await self._remove_workflows(message)

    @activity.defn
    async def remove_instance(self, message: DeleteInput) -> None:
        """All that is left. An execution that was accepted in the last moment is found and removed first."""
        await self._jobs.enter(message.job_id, "data")
        while not await self._remove_rows(message):
            await self.stop_executions(message)
            await self.remove_executions(message)

    @activity.defn
    async def remove_customer(self, message: DeleteInput) -> None:
        async with self._database.transaction() as session:
            gone = await Removal(session).customer(message.object_id)
            await Jobs(session).add_up(message.job_id, gone, utcnow(), under="removed")

    async def _remove_workflows(self, message: DeleteInput) -> None:
        """Deploys, drains, queues, earlier attempts. What is known by name is not left to the list, which lags."""
        async with self._database.snapshot() as session:
            jobs = await Jobs(session).ids_of(message.object_id)
            flows = await InstanceFlows(session).of_instance(message.object_id, active_only=False)
        queues = [queue_workflow_id(flow.id) for flow in flows]
        named = [deploy_workflow_id(message.object_id), *jobs, *queues]
        known = await for_each(named, self._histories.delete)
        workflow_ids = set(named)
        async for workflow_id, run_id in self._histories.of_instance(message.object_id):
            await self._histories.delete(workflow_id, run_id)
            workflow_ids.add(workflow_id)
            activity.heartbeat()
        async with self._database.transaction() as session:
            gone = await Removal(session).blobs(sorted(workflow_ids))
            gone["histories"] = len(known)
            await Jobs(session).add_up(message.job_id, +gone, utcnow(), under="removed")

    async def _remove_rows(self, message: DeleteInput) -> bool:
        """False: an execution has come in between."""
        removed = Counter({"-": 1})
        while removed:
            async with self._database.transaction() as session:
                removed = await Removal(session).some_of_instance(message.object_id, ROWS)
                await Jobs(session).add_up(message.job_id, removed, utcnow(), under="removed")
            activity.heartbeat()
        async with self._database.transaction() as session:
            if await Executions(session).of_instance(message.object_id, after="", limit=1):
                return False
            gone = await Removal(session).instance(message.object_id)
            await Jobs(session).add_up(message.job_id, gone, utcnow(), under="removed")
        return True

    async def _report(self, message: DeleteInput, gone: Counter[str]) -> None:
        async with self._database.transaction() as session:
            await Jobs(session).add_up(message.job_id, +gone, utcnow(), under="removed")

    async def _under_way(self, execution_ids: list[str]) -> list[ExecutionRow]:
        """One that waits for its retry has had its chance."""
        async with self._database.snapshot() as session:
            rows = [await Executions(session).get(execution_id) for execution_id in execution_ids]
        return [row for row in rows if row and row.status not in TERMINAL and row.status != Status.RETRYING]

    async def _open(self, instance_id: str) -> Sequence[ExecutionRow]:
        async with self._database.snapshot() as session:
            return await Executions(session).open_of_instance(instance_id, BATCH)

    async def _oldest(self, instance_id: str) -> Sequence[ExecutionRow]:
        async with self._database.snapshot() as session:
            return await Executions(session).of_instance(instance_id, after="", limit=BATCH)

    async def _close(self, rows: Sequence[ExecutionRow]) -> None:
        tally, names = Tally(), FlowNames()
        async with self._database.transaction() as session:
            for row in rows:
                values = {"status": Status.CANCELED, "reason": "instance_deleted", "check_after": None, "held": None}
                if await Executions(session).move(row.id, row.max_attempts, {**values, "ended_at": utcnow()}):
                    tally.finished(await names.of(session, row.instance_flow_id), row, Status.CANCELED)
        tally.count()

    async def _wait_for(self, instance_id: str, rows: Sequence[ExecutionRow]) -> None:
        ids = {row.id for row in rows}
        deadline = asyncio.get_running_loop().time() + CANCEL_GRACE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if not ids & {row.id for row in await self._open(instance_id)}:
                return
            activity.heartbeat()
            await asyncio.sleep(POLL_SECONDS)


def _remove_key(instance_id: str) -> str:
    """The same for an instance's own delete and that of its customer, so that remove-trigger flows run once."""
    return f"remove:{instance_id}"


def _workflow_id(row: ExecutionRow) -> str:
    return row.workflow_id or row.id
