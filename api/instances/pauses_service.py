"""An instance's pauses and suspensions: who may be invoked now, and what becomes of what was held."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.etags import Precondition
from api.instances import access
from api.instances.service import note, touch
from domain.deliveries import ensure_not_suspended
from domain.pausing import PauseMode
from runtime.clock import utcnow
from runtime.ids import new_id
from store.held import HeldExecutions
from store.instance_flows import InstanceFlows
from store.jobs import Jobs
from store.tables import InstanceRow, JobRow

DRAIN = "drain"

Wish = dict[str, Any]


async def pause(
    session: AsyncSession,
    principal: str,
    instance_id: str,
    mode: PauseMode | None,
    pause_note: str | None,
    precondition: Precondition,
) -> None:
    """Schedules do not fire, webhooks are refused or held. A paused instance stays as it is, but for another mode."""
    row = await access.changeable(session, instance_id, precondition)
    if not row.enabled and mode in (None, row.pause_mode):
        return
    if row.enabled:
        row.enabled, row.pause_note = False, pause_note
        await _stop_drain(session, row)
        await InstanceFlows(session).mark_schedules(row.id)
    row.pause_mode = mode or PauseMode.DROP
    row.pause_note = pause_note or row.pause_note
    touch(row)
    note(session, principal, "instance.paused", row, mode=row.pause_mode)


async def unpause(
    session: AsyncSession, principal: str, instance_id: str, wish: Wish, precondition: Precondition
) -> JobRow | None:
    """The job that drains what was held, if anything was. Raises Conflict: `instance_suspended`."""
    row = await access.changeable(session, instance_id, precondition)
    if row.enabled:
        return None
    ensure_not_suspended(row.suspended_at is not None)
    row.enabled, row.pause_mode, row.pause_note = True, None, None
    touch(row)
    await InstanceFlows(session).mark_schedules(row.id)
    job = await _drain(session, principal, row, wish | {"up_to": row.hold_number})
    row.hold_number += 1  # what comes in behind the drain is never discarded by it
    note(session, principal, "instance.unpaused", row, **(wish if job else {}))
    return job


async def suspend(
    session: AsyncSession, principal: str, instance_id: str, suspension_note: str | None, precondition: Precondition
) -> None:
    """Nothing begins any more, whoever asks; paused or not stays as it is. A suspended instance stays as it is."""
    row = await access.changeable(session, instance_id, precondition)
    if row.suspended_at is not None:
        return
    row.suspended_at, row.suspension_note = utcnow(), suspension_note
    touch(row)
    await _stop_drain(session, row)
    await InstanceFlows(session).mark_schedules(row.id)
    note(session, principal, "instance.suspended", row)


async def resume(session: AsyncSession, principal: str, instance_id: str, precondition: Precondition) -> JobRow | None:
    """A drain that the suspension has stopped goes on, as another job."""
    row = await access.changeable(session, instance_id, precondition)
    if row.suspended_at is None:
        return None
    row.suspended_at, row.suspension_note = None, None
    touch(row)
    await InstanceFlows(session).mark_schedules(row.id)
    note(session, principal, "instance.resumed", row)
    stopped = await Jobs(session).by_object(DRAIN, row.id)
    return await _drain(session, principal, row, dict(stopped.input or {})) if row.enabled and stopped else None


async def _drain(session: AsyncSession, principal: str, row: InstanceRow, wish: Wish) -> JobRow | None:
    held = await HeldExecutions(session).count(row.id)
    if not held:
        return None
    now = utcnow()
    job = JobRow(
        id=new_id("job"),
        kind=DRAIN,
        object_id=row.id,
        principal=principal,
        state="running",
        stage="queued",
        total=held,
        input=wish,
        result={"released": 0, "discarded": 0},
        created_at=now,
        updated_at=now,
    )
    Jobs(session).add(job)
    row.drain_job_id = job.id
    return job


async def _stop_drain(session: AsyncSession, row: InstanceRow) -> None:
    """Takes the turn away: what it has not started yet stays held."""
    if row.drain_job_id is not None:
        await Jobs(session).change(row.drain_job_id, utcnow(), state="aborted")
        row.drain_job_id = None
