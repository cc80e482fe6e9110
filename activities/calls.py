"""Flows that call flows of their instance: the called one is an execution of its own, accepted like any other."""

import json
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.acceptance import Request, accept
from activities.deployments import Deployment, Deployments
from activities.errors import translate
from activities.handover import Handover, Starter
from activities.keys import queue_key
from activities.payloads import Payload, Payloads
from activities.records import value_context
from domain.errors import Conflict, FlowgraftError, NotFound
from domain.executions import TERMINAL, Status
from domain.messages import Called, CallInput, CallSight, Failure
from runtime.crypto import Keyring
from store.engine import Database
from store.executions import Executions
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.steps import Steps
from store.tables import CustomerRow, ExecutionRow, InstanceFlowRow

DEEPEST = 10

log = structlog.get_logger()


class CallActivities:
    def __init__(
        self, database: Database, keyring: Keyring, deployments: Deployments, payloads: Payloads, starter: Starter
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._deployments = deployments
        self._payloads = payloads
        self._starter = starter

    @activity.defn
    async def call_flow(self, message: CallInput) -> Called:
        """Accepts the called execution, once, and starts it; upkeep does, if Temporal is away. Repeated: the same one.

        A later attempt of the caller finds what an earlier one has called, unless that has failed and is waited for.
        Raises Conflict `call_too_deep`, `called_again`, NotFound.
        """
        try:
            called, handover = await self._call_once(message)
        except FlowgraftError as error:
            raise translate(error) from error
        if handover is not None:
            try:
                await self._starter.start(handover)
            except Exception as error:
                log.warning("call_not_started", error=type(error).__name__, detail=str(error)[:500])
        return called

    @activity.defn
    async def look_at_called(self, execution_id: str) -> CallSight:
        async with self._database.snapshot() as session:
            row = await Executions(session).get(execution_id)
            if row is None:
                return CallSight(True, failure=Failure("called_flow_failed", "The called execution has been removed"))
            if row.status not in TERMINAL:
                return CallSight(False)
            if row.status != Status.SUCCEEDED:
                return CallSight(True, failure=_failure(row))
            return CallSight(True, await self._value(session, row))

    async def _call_once(self, message: CallInput) -> tuple[Called, Handover | None]:
        try:
            return await self._transact(message)
        except IntegrityError:
            return await self._transact(message)  # two of one call at once, and the other one was first

    async def _transact(self, message: CallInput) -> tuple[Called, Handover | None]:
        async with self._database.transaction() as session:
            if message.resume_from is not None:
                kept = await Steps(session).succeeded(message.resume_from, message.path)
                if kept is not None:
                    context = value_context(kept.execution_id, kept.attempt, kept.path, "output")
                    value = None if kept.output is None else self._keyring.decrypt_json(kept.output, context)
                    return Called(kept=True, value=value), None
            caller = await session.get_one(ExecutionRow, message.execution_id)
            earlier = await Executions(session).invoked(caller.id)
            for row in reversed([each for each in earlier if each.invoked_path == message.path]):
                if not (message.waits and row.status in TERMINAL and row.status != Status.SUCCEEDED) or (
                    row.dedupe_key == _key(message)
                ):
                    return Called(row.id), None
            deployment = await self._deployments.get(caller.deployment_id, session)
            flow = await self._flow(session, caller, message.flow)
            depth = _depth(message, caller, flow, earlier)
            return await self._accept(session, message, caller, deployment, flow, depth)

    async def _accept(
        self,
        session: AsyncSession,
        message: CallInput,
        caller: ExecutionRow,
        deployment: Deployment,
        flow: InstanceFlowRow,
        depth: int,
    ) -> tuple[Called, Handover]:
        instance = await Instances(session).get(caller.instance_id)
        if instance is None or instance.deleting:
            raise Conflict("The instance is being deleted", code="instance_deleting")
        payload = Payload("", "", [], [], "application/json", json.dumps(message.inputs).encode())
        roots: dict[str, Any] = {"trigger": payload.root(), "config": deployment.config}
        request = Request(
            flow,
            instance,
            await session.get_one(CustomerRow, caller.customer_id),
            deployment,
            payload=payload,
            is_test=caller.is_test,
            dedupe_key=_key(message),
            queue_key=queue_key(self._keyring, deployment.definition.flow(flow.key), roots),
            invoked_by=caller,
            invoked_path=message.path,
            call_depth=depth,
            is_awaited=message.waits,
        )
        handover = await accept(session, self._payloads, request)
        return Called(handover.execution_id), handover

    async def _flow(self, session: AsyncSession, caller: ExecutionRow, key: str) -> InstanceFlowRow:
        for flow in await InstanceFlows(session).of_instance(caller.instance_id, active_only=False):
            if flow.key == key:
                return flow
        raise NotFound(f"The instance has no flow {key}")

    async def _value(self, session: AsyncSession, row: ExecutionRow) -> Any:
        """The body of its `stop`, or the value of its last step."""
        last = await Steps(session).answer(row.id, row.attempt)
        if last is None or last.output is None:
            return None
        context = value_context(last.execution_id, last.attempt, last.path, "output")
        value = self._keyring.decrypt_json(last.output, context)
        return (value or {}).get("body") if last.is_stop else value


def _key(message: CallInput) -> str:
    """Nothing else calls: a key of a delivery is a hash."""
    return f"call:{message.execution_id}:{message.attempt}:{message.path}"


def _depth(message: CallInput, caller: ExecutionRow, flow: InstanceFlowRow, earlier: Any) -> int:
    """A flow that calls itself once and does not wait goes on by that, however often; all else is a level deeper."""
    if flow.id == caller.instance_flow_id and not message.waits:
        if any(row.instance_flow_id == flow.id and row.invoked_path != message.path for row in earlier):
            raise Conflict("A flow calls itself without waiting only once", code="called_again")
        return caller.call_depth
    if caller.call_depth >= DEEPEST:
        raise Conflict(f"Flows call each other at most {DEEPEST} deep", code="call_too_deep")
    return caller.call_depth + 1


def _failure(row: ExecutionRow) -> Failure:
    error = row.error or {}
    told = f": {error['code']}: {error['message']}" if error else ""
    message = f"The called execution {row.id} has {'failed' if row.status == Status.FAILED else 'been ' + row.status}"
    return Failure("called_flow_failed", message + told, details={"execution_id": row.id})
