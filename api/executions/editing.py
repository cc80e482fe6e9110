"""Changing an execution that waits. Session first; the caller commits, then begins its workflow anew if it is told."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.deployments import Deployment
from activities.handover import Handover, anew
from activities.records import Log, log_lines, owner_of
from activities.replays import locked
from api.etags import Precondition
from api.events import record
from api.executions import service
from api.resources import Resources
from api.shapes import instant
from domain.errors import Conflict, Invalid, NotFound, Problem, StepFailed
from domain.executions import LATEST, RetryRule, Status
from runtime.clock import utcnow
from store.executions import ExecutionView
from store.instance_flows import InstanceFlows
from store.logs import Logs
from store.tables import ExecutionRow, InstanceRow

CURRENT = "current"
WAITING = frozenset({Status.QUEUED, Status.RETRYING})


async def edit(
    session: AsyncSession,
    resources: Resources,
    principal: str,
    execution_id: str,
    changes: dict[str, Any],
    precondition: Precondition,
) -> tuple[ExecutionView, Handover | None]:
    """The execution, and what to begin anew in the place of its workflow. Raises NotFound, Conflict, VersionConflict,
    Invalid."""
    row = await locked(session, execution_id)
    if row is None:
        raise NotFound("There is no such execution")
    precondition.ensure(service.revision(row))
    _ensure_waiting(row, changes)
    before = _shown(row)
    if "deployment_id" in changes:
        await _move(session, resources, row, changes["deployment_id"])
    replaced = _reschedule(row, changes) and not _waits_in_ledger(row)
    changed = {name: value for name, value in _shown(row).items() if value != before[name]}
    if changed or replaced:
        await _note(session, principal, row, {name: before[name] for name in changed}, changed)
    view = await service.get(session, execution_id)
    return view, anew(view) if replaced else None


def _ensure_waiting(row: ExecutionRow, changes: dict[str, Any]) -> None:
    if row.status not in WAITING or row.cancel_requested_at is not None:
        told = "is being canceled" if row.cancel_requested_at and row.ended_at is None else f"is {row.status}"
        raise Conflict(f"Only what waits can be changed: it {told}", code="not_waiting")
    if "next_attempt_at" in changes and row.status != Status.RETRYING:
        raise Conflict("It waits for its turn, not for a time", code="not_waiting")


def _reschedule(row: ExecutionRow, changes: dict[str, Any]) -> bool:
    """Whether its workflow has to know. What was begun with an older edition does not go on from now on."""
    if "next_attempt_at" in changes:
        row.next_attempt_at = _bounded(changes["next_attempt_at"])
    if not changes.keys() & {"next_attempt_at", "retries_left"}:
        return False
    rule = RetryRule(**row.retry).changed(row.attempt, changes.get("retries_left"))
    row.retry, row.max_attempts = asdict(rule), rule.max_attempts
    return True


def _bounded(at: datetime) -> datetime:
    now = utcnow()
    if at > now + LATEST:
        detail = f"Must be within {LATEST.days} days."
        raise Invalid(f"next_attempt_at: {detail}", [Problem("#/next_attempt_at", "too_far", detail)])
    return max(at, now)


def _waits_in_ledger(row: ExecutionRow) -> bool:
    """Nobody has told Temporal of it; whoever does reads it then."""
    untold = row.status == Status.QUEUED and row.run_id is None and row.handed_over_at is None
    return untold and (row.held is not None or row.queue_key is not None)


async def _move(session: AsyncSession, resources: Resources, row: ExecutionRow, wanted: str) -> None:
    """To another deployment, which its next attempt reads as it begins."""
    deployment = await _deployment(session, resources, row, wanted)
    flow = await InstanceFlows(session).get(row.instance_flow_id)
    if flow is None or flow.key not in deployment.flows:
        raise _refused("That version does not have its flow.")
    row.deployment_id, row.version_id = deployment.id, deployment.version_id


async def _deployment(session: AsyncSession, resources: Resources, row: ExecutionRow, wanted: str) -> Deployment:
    instance = await session.get_one(InstanceRow, row.instance_id)
    try:
        found = await resources.deployments.get(instance.deployment_id or "" if wanted == CURRENT else wanted, session)
    except StepFailed as error:
        raise _refused("There is no such deployment of its instance.") from error
    if found.instance_id != row.instance_id:
        raise _refused("There is no such deployment of its instance.")
    return found


def _refused(detail: str) -> Invalid:
    return Invalid(f"deployment_id: {detail}", [Problem("#/deployment_id", "invalid_value", detail)])


def _shown(row: ExecutionRow) -> dict[str, Any]:
    return {
        "next_attempt_at": instant(row.next_attempt_at) if row.next_attempt_at else None,
        "retries_left": row.max_attempts - row.attempt - 1,
        "deployment_id": row.deployment_id,
    }


async def _note(
    session: AsyncSession, principal: str, row: ExecutionRow, before: dict[str, Any], after: dict[str, Any]
) -> None:
    row.updated_at = utcnow()
    if not _waits_in_ledger(row):
        row.check_after = row.updated_at  # Temporal may be away: upkeep looks soon
    await session.flush()
    log = Log()
    log("info", "Changed while it waited: " + ", ".join(f"{name} {value}" for name, value in after.items()))
    await Logs(session).add_many(log_lines(owner_of(row), row.attempt, None, log))
    ids = {"instance_id": row.instance_id, "customer_id": row.customer_id}
    record(session, principal, "execution.edited", row.id, **ids, details={"before": before, "after": after})
