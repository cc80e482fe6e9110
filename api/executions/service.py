"""Use cases of executions. Session first; the caller commits."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.deployments import Deployment
from activities.handover import Handover
from activities.outbox import announce_execution
from activities.payloads import EMPTY, Payload
from activities.records import value_context
from activities.replays import accept_replay, locked, replayable
from api.etags import Precondition
from api.events import record
from api.executions.schemas import ErrorRead, Expiry, StepRead
from api.resources import Resources
from domain.errors import Conflict, Gone, NotFound
from domain.executions import TERMINAL, Status, StepStatus
from domain.replays import StepForecast, forecast
from domain.retention import End, Kind, Retention
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.executions import ExecutionFilter, Executions, ExecutionView
from store.paging import Page
from store.parking import Parking
from store.queues import QueueOf
from store.retention import Expired
from store.steps import Record, Steps
from store.tables import ExecutionRow, StepRow

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


async def output(session: AsyncSession, keyring: Keyring, execution_id: str, path: str, attempt: int | None) -> bytes:
    """The whole value of a step, as JSON. The last attempt that has the step, unless one is named."""
    await get(session, execution_id)
    repository = Steps(session)
    row: StepRow | Record | None = (
        await repository.latest(execution_id, path)
        if attempt is None
        else await repository.get(execution_id, attempt, path)
    )
    if row is None:
        raise NotFound("There is no such step in this execution")
    if row.output is None and row.output_size:
        raise Gone("The step's output is kept no longer", code="output_removed")
    return b"null" if row.output is None else keyring.decrypt(row.output, _place(row, "output"))


async def payload(session: AsyncSession, resources: Resources, execution_id: str) -> Payload:
    """An empty one where there was none. Raises Gone once it is kept no longer."""
    row = (await get(session, execution_id)).row
    if row.payload_id is None:
        return EMPTY
    held = await Executions(session).payload(row.payload_id)
    if held is None:
        raise Gone("The payload has expired: it is kept no longer", code="payload_expired")
    return resources.payloads.open(held)


async def expiries(session: AsyncSession, retention: Retention, views: Sequence[ExecutionView]) -> dict[str, Expiry]:
    """By execution. A payload lives as long as the longest of those that share it."""
    rows = [view.row for view in views]
    sharers = await Expired(session).sharers([row.payload_id for row in rows if row.payload_id is not None])
    return {row.id: _expiry(row, retention, sharers) for row in rows}


def _expiry(row: ExecutionRow, retention: Retention, sharers: Mapping[str, Sequence[End]]) -> Expiry:
    own = End(row.status, row.ended_at, row.resolved_at)
    return Expiry(
        retention.expires_at(Kind.EXECUTIONS, [own]),
        retention.expires_at(Kind.PAYLOADS, sharers.get(row.payload_id or "", ())),
    )


async def replay(
    session: AsyncSession,
    resources: Resources,
    principal: str,
    execution_id: str,
    *,
    original_version: bool,
    from_failed_step: bool,
) -> Handover:
    """A new execution with the same payload, byte for byte. Raises NotFound, Conflict."""
    row = await locked(session, execution_id)
    if row is None:
        raise NotFound("There is no such execution")
    handover = await accept_replay(
        session,
        resources.deployments,
        resources.payloads,
        row,
        original_version=original_version,
        from_failed_step=from_failed_step,
    )
    _note(session, principal, "execution.replayed", row, replay=handover.execution_id)
    return handover


async def replay_preview(
    session: AsyncSession,
    resources: Resources,
    execution_id: str,
    *,
    original_version: bool,
    from_failed_step: bool,
) -> tuple[Deployment, list[StepForecast]]:
    """What a replay would run on, and what it would do about each step. Raises what the replay itself would."""
    row = (await get(session, execution_id)).row
    flow, _, deployment = await replayable(
        session,
        resources.deployments,
        row,
        original_version=original_version,
        from_failed_step=from_failed_step,
    )
    done = [
        step.path for step in await Steps(session).of_execution(execution_id) if step.status == StepStatus.SUCCEEDED
    ]
    steps = deployment.definition.flow(flow.key).steps
    return deployment, forecast(steps, done, resources.catalog, keep=from_failed_step)


async def cancel(session: AsyncSession, principal: str, execution_id: str) -> ExecutionRow:
    """What waits in the ledger ends at once; for the rest the workflow is asked to end. Raises NotFound, Conflict."""
    row = (await get(session, execution_id)).row
    if row.status in TERMINAL:
        raise Conflict(f"The execution has ended already: {row.status}")
    now = utcnow()
    if row.status == Status.QUEUED:
        row.status, row.reason, row.ended_at = Status.CANCELED, "canceled", now
        row.check_after = now if row.run_id else None  # it waits in a queue with a workflow, which has to end
        announce_execution(session, row, Status.CANCELED)
    else:
        row.cancel_requested_at = row.cancel_requested_at or now
        row.check_after = now
    row.updated_at = now
    await session.flush()
    _note(session, principal, "execution.canceled", row)
    return row


def revision(row: ExecutionRow) -> int:
    """Another one with each change of the row."""
    return int(row.updated_at.timestamp() * 1_000_000)


async def unpark(
    session: AsyncSession, principal: str, execution_id: str, precondition: Precondition
) -> tuple[ExecutionView, QueueOf]:
    """Its queue goes on without it; the caller tells it so. Raises NotFound, VersionConflict, Conflict `not_parked`."""
    view = await get(session, execution_id)
    row = view.row
    precondition.ensure(revision(row))
    if row.parked_until is None:
        raise Conflict("Nothing waits behind this execution", code="not_parked")
    await Parking(session).free(row.instance_flow_id, [row.id], utcnow())
    _note(session, principal, "execution.unparked", row)
    await session.refresh(row)
    return view, QueueOf(row.instance_flow_id, row.instance_id, row.customer_id)


def _note(session: AsyncSession, principal: str, action: str, row: ExecutionRow, **details: Any) -> None:
    ids = {"instance_id": row.instance_id, "customer_id": row.customer_id}
    record(session, principal, action, row.id, **ids, details=details)


def _step(row: StepRow, keyring: Keyring) -> StepRead:
    truncated = row.output is not None and row.output_size > SHOWN_OUTPUT
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


def _open(row: StepRow | Record, keyring: Keyring, column: str) -> Any:
    sealed = getattr(row, column)
    if sealed is None:
        return None
    return keyring.decrypt_json(sealed, _place(row, column))


def _place(row: StepRow | Record, column: str) -> str:
    return value_context(row.execution_id, row.attempt, row.path, column)
