"""Use cases of executions. Session first; the caller commits."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.acceptance import Request, accept
from activities.handover import Handover
from activities.payloads import EMPTY, Payload
from activities.records import value_context
from api.executions.schemas import ErrorRead, StepRead
from api.resources import Resources
from domain.errors import Conflict, NotFound
from domain.executions import TERMINAL, Status, StepStatus
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.executions import ExecutionFilter, Executions, ExecutionView
from store.instance_flows import InstanceFlows
from store.paging import Page
from store.steps import Steps
from store.tables import CustomerRow, ExecutionRow, InstanceFlowRow, InstanceRow, StepRow

SHOWN_OUTPUT = 64 * 1024  # bytes; a larger one is fetched by itself


async def find(session: AsyncSession, wanted: ExecutionFilter, page: Page) -> Sequence[ExecutionView]:
    return await Executions(session).list(wanted, page)


async def get(session: AsyncSession, execution_id: str) -> ExecutionView:
    view = await Executions(session).view(execution_id)
    if view is None:
        raise NotFound("There is no such execution")
    return view


async def steps(session: AsyncSession, keyring: Keyring, execution_id: str) -> list[StepRead]:
    return [_step(row, keyring) for row in await Steps(session).of_execution(execution_id)]


async def output(session: AsyncSession, keyring: Keyring, execution_id: str, path: str, attempt: int | None) -> Any:
    """The whole value of a step. The last attempt that has the step, unless one is named."""
    await get(session, execution_id)
    repository = Steps(session)
    row = (
        await repository.latest(execution_id, path)
        if attempt is None
        else await repository.get(execution_id, attempt, path)
    )
    if row is None:
        raise NotFound("There is no such step in this execution")
    return _open(row, keyring, "output")


async def payload(session: AsyncSession, resources: Resources, execution_id: str) -> Payload:
    row = (await get(session, execution_id)).row
    held = await Executions(session).payload(row.payload_id) if row.payload_id else None
    return resources.payloads.open(held) if held is not None else EMPTY


async def replay(
    session: AsyncSession, resources: Resources, execution_id: str, *, original_version: bool, from_failed_step: bool
) -> Handover:
    """A new execution with the same payload, byte for byte. Raises NotFound, Conflict."""
    row = (await get(session, execution_id)).row
    if from_failed_step and row.status != Status.FAILED:
        raise Conflict("Only a failed execution can be replayed from its failed step", code="not_replayable")
    flow, instance, customer = await _parents(session, row)
    deployment_id = row.deployment_id if original_version else instance.deployment_id
    if deployment_id is None:
        raise Conflict("The instance is not deployed", code="instance_not_deployed")
    deployment = await resources.deployments.get(deployment_id, session)
    if flow.key not in deployment.flows:
        raise Conflict("The deployed version no longer has this flow", code="not_replayable")
    request = Request(
        flow=flow,
        instance=instance,
        customer=customer,
        deployment=deployment,
        payload_of=row,
        is_test=row.is_test,
        replay_of=row.id,
        resume_from=row.id if from_failed_step else None,
        tags=dict(row.tags),
    )
    return await accept(session, resources.payloads, request)


async def cancel(session: AsyncSession, execution_id: str) -> ExecutionRow:
    """What waits in the ledger ends at once; for the rest the workflow is asked to end. Raises NotFound, Conflict."""
    row = (await get(session, execution_id)).row
    if row.status in TERMINAL:
        raise Conflict(f"The execution has ended already: {row.status}")
    now = utcnow()
    if row.status == Status.QUEUED:
        row.status, row.reason, row.ended_at, row.check_after = Status.CANCELED, "canceled", now, None
    else:
        row.cancel_requested_at = row.cancel_requested_at or now
        row.check_after = now
    row.updated_at = now
    await session.flush()
    return row


async def _parents(session: AsyncSession, row: ExecutionRow) -> tuple[InstanceFlowRow, InstanceRow, CustomerRow]:
    flow = await InstanceFlows(session).get(row.instance_flow_id)
    instance = await session.get_one(InstanceRow, row.instance_id)
    if flow is None or instance.deleting:
        raise Conflict("The instance is being deleted")
    return flow, instance, await session.get_one(CustomerRow, row.customer_id)


def _step(row: StepRow, keyring: Keyring) -> StepRead:
    truncated = row.output_size > SHOWN_OUTPUT
    return StepRead(
        path=row.path,
        key=row.key,
        name=row.name,
        component=row.component,
        action=row.action,
        attempt=row.attempt,
        iteration=row.iteration,
        status=StepStatus(row.status).value,
        tries=row.tries,
        started_at=row.started_at,
        ended_at=row.ended_at,
        inputs=_open(row, keyring, "inputs"),
        output=None if truncated else _open(row, keyring, "output"),
        branch=row.branch,
        error=ErrorRead.of(row.error),
        truncated=truncated,
    )


def _open(row: StepRow, keyring: Keyring, column: str) -> Any:
    sealed = getattr(row, column)
    if sealed is None:
        return None
    return keyring.decrypt_json(sealed, value_context(row.execution_id, row.attempt, row.path, column))
