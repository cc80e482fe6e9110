"""What can be done with the flows of instances: look at them, renew their URL, keep their API keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.endpoints import common, rotate
from activities.holding import may_hold
from api.etags import Precondition
from api.events import record
from api.instances import access
from domain.errors import Conflict, NotFound
from domain.executions import TriggerKind
from domain.schedules import next_runs
from runtime.clock import utcnow
from runtime.crypto import hash_secret
from runtime.ids import new_id, new_secret
from store.endpoints import Addressed
from store.held import HeldExecutions
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.paging import Page
from store.parking import ParkedCounts, Parking
from store.queues import QueueCounts, Queues
from store.tables import ExecutionRow, FlowApiKeyRow, InstanceFlowRow, InstanceRow

KEY_PREFIX = "fgf_"
NONE_PARKED = ParkedCounts(0, None)
NOTHING = QueueCounts(0, None)


@dataclass(frozen=True)
class FlowView:
    """A flow with what stands elsewhere: what its trigger asks of callers, and what it is addressed through."""

    row: InstanceFlowRow
    security: dict[str, Any]
    address: Addressed
    next_runs: list[datetime]
    running: int
    waiting: int
    held: int
    oldest_waiting_at: datetime | None
    parked: ParkedCounts
    customer_id: str
    last_execution: ExecutionRow | None


async def views(session: AsyncSession, instances: Sequence[InstanceRow]) -> dict[str, list[FlowView]]:
    """The flows of each instance in definition order, in as many queries as for one."""
    found = await InstanceFlows(session).of_instances([instance.id for instance in instances])
    rows = [row for each in found.values() for row in each]
    shown = {view.row.id: view for view in await _views(session, instances, rows)}
    return {instance_id: [shown[row.id] for row in rows] for instance_id, rows in found.items()}


async def of_instance(session: AsyncSession, instance_id: str, page: Page) -> list[FlowView]:
    instance = await access.get(session, instance_id)
    flows = (await views(session, [instance]))[instance_id]
    ids = [flow.row.id for flow in flows]
    return flows[ids.index(page.after) + 1 :] if page.after in ids else flows


async def get(session: AsyncSession, flow_id: str) -> FlowView:
    row = await get_row(session, flow_id)
    instance = await access.get(session, row.instance_id)
    return (await _views(session, [instance], [row]))[0]


async def get_row(session: AsyncSession, flow_id: str, *, for_update: bool = False) -> InstanceFlowRow:
    row = await InstanceFlows(session).get(flow_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such flow.")
    return row


async def changeable(
    session: AsyncSession, flow_id: str, precondition: Precondition | None = None
) -> tuple[InstanceFlowRow, InstanceRow]:
    """Both locked, the instance first, as a deploy does. Raises Conflict while the instance is being deleted."""
    instance_id = (await get_row(session, flow_id)).instance_id
    instance = await access.changeable(session, instance_id)
    row = await get_row(session, flow_id, for_update=True)
    (precondition or Precondition()).ensure(row.revision)
    return row, instance


async def rotate_url(
    session: AsyncSession, principal: str, flow_id: str, overlap: timedelta, precondition: Precondition
) -> FlowView:
    """A new URL of its own at once; the old one goes on for the overlap, then it is gone, and says so."""
    row, instance = await changeable(session, flow_id, precondition)
    if row.trigger != TriggerKind.WEBHOOK:
        raise Conflict(f"A flow with a {row.trigger} trigger has no webhook URL.")
    now = utcnow()
    await rotate(session, row, overlap, now)
    touch(row, now)
    note(session, principal, "flow.url_rotated", row, instance, overlap_seconds=overlap.total_seconds())
    return await get(session, flow_id)


async def add_api_key(
    session: AsyncSession, principal: str, flow_id: str, name: str | None
) -> tuple[FlowApiKeyRow, str]:
    """The row and the key itself, which is known to nobody afterwards."""
    flow, instance = await changeable(session, flow_id)
    key = KEY_PREFIX + new_secret()
    row = FlowApiKeyRow(
        id=new_id("key"), instance_flow_id=flow.id, name=name, hash=hash_secret(key), created_at=utcnow()
    )
    InstanceFlows(session).add_api_key(row)
    note(session, principal, "flow.api_key_created", flow, instance, key_id=row.id)
    return row, key


async def find_api_keys(session: AsyncSession, flow_id: str, page: Page) -> Sequence[FlowApiKeyRow]:
    row = await get_row(session, flow_id)
    return await InstanceFlows(session).list_api_keys(row.id, page)


async def delete_api_key(session: AsyncSession, principal: str, flow_id: str, key_id: str) -> None:
    flow, instance = await changeable(session, flow_id)
    if not await InstanceFlows(session).delete_api_key(flow.id, key_id):
        raise NotFound("There is no such API key.")
    note(session, principal, "flow.api_key_deleted", flow, instance, key_id=key_id)


def touch(row: InstanceFlowRow, now: datetime) -> None:
    row.revision += 1
    row.updated_at = now


def note(
    session: AsyncSession, principal: str, action: str, flow: InstanceFlowRow, instance: InstanceRow, **details: Any
) -> None:
    record(
        session,
        principal,
        action,
        flow.id,
        instance_id=instance.id,
        customer_id=instance.customer_id,
        details={"flow": flow.key, **details},
    )


async def _views(
    session: AsyncSession, instances: Sequence[InstanceRow], rows: Sequence[InstanceFlowRow]
) -> list[FlowView]:
    by_id = {instance.id: instance for instance in instances}
    ids = [row.id for row in rows]
    triggers = await _triggers(session, list(by_id))
    shared = await common(session, instances)
    running = await InstanceFlows(session).open_counts(ids)
    last = await InstanceFlows(session).last_executions(ids)
    held = await HeldExecutions(session).counts_by_flow([each.id for each in instances if may_hold(each)])
    queued = await Queues(session).counts(ids)
    queues = [row.id for row in rows if row.concurrency is not None]
    parked = await Parking(session).counts(queues) if queues else {}
    now = utcnow()
    return [
        FlowView(
            row=row,
            security=triggers.get((row.instance_id, row.key), {}).get("security") or {},
            address=shared.get(row.instance_id, row),
            next_runs=_next_runs(row, by_id[row.instance_id], now),
            running=running.get(row.id, 0) - held.get(row.id, 0) - queued.get(row.id, NOTHING).waiting,
            waiting=queued.get(row.id, NOTHING).waiting,
            held=held.get(row.id, 0),
            oldest_waiting_at=queued.get(row.id, NOTHING).oldest_waiting_at,
            parked=parked.get(row.id, NONE_PARKED),
            customer_id=by_id[row.instance_id].customer_id,
            last_execution=last.get(row.id),
        )
        for row in rows
    ]


async def _triggers(session: AsyncSession, instance_ids: list[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """By instance and flow key, as JSON: reading whole definitions would cost much for one word."""
    definitions = await Instances(session).definitions(instance_ids)
    return {
        (instance_id, flow["key"]): flow["trigger"]
        for instance_id, definition in definitions.items()
        for flow in definition["flows"]
    }


def _next_runs(row: InstanceFlowRow, instance: InstanceRow, now: datetime) -> list[datetime]:
    fires = row.active and instance.enabled and instance.deployment_id is not None and not instance.deleting
    if row.schedule is None or not fires or instance.suspended_at is not None:
        return []
    return next_runs(row.schedule["cron"], row.schedule["time_zone"], now)
