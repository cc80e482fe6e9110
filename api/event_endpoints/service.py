"""Keeping event endpoints, trying them out, and sending again what did not arrive."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.alerting import event_row
from activities.outbox import waken
from activities.targets import OwnedTargets, TargetSecrets, Wanted
from activities.vault import Vault
from api.etags import Precondition
from api.events import record
from domain.alerts import Happening
from domain.errors import Conflict, NotFound
from domain.monitors import Place
from domain.notifications import DeliveryState, TargetKind
from runtime.clock import utcnow
from runtime.ids import new_id
from store.deliveries import Deliveries
from store.paging import Page
from store.tables import DeliveryRow, EventEndpointRow, TargetRow
from store.targets import EventEndpoints, Targets

OWNER = "event_endpoint"
TEST = "endpoint.test"


@dataclass(frozen=True)
class EndpointView:
    """`secret` only where it was made just now."""

    row: EventEndpointRow
    target: TargetRow
    secret: str | None = None


async def create(
    session: AsyncSession, vault: Vault, principal: str, values: dict[str, Any], wanted: Wanted
) -> EndpointView:
    now = utcnow()
    row = EventEndpointRow(id=new_id("hook"), revision=1, created_at=now, updated_at=now, **values)
    EventEndpoints(session).add(row)
    await session.flush()
    shown = await OwnedTargets(session, vault, OWNER, row.id).replace([wanted])
    record(session, principal, "event_endpoint.created", row.id)
    target = await _target(session, row.id)
    return EndpointView(row, target, shown.get(target.id))


async def find(session: AsyncSession, page: Page) -> Sequence[EndpointView]:
    rows = await EventEndpoints(session).list(page)
    targets = await Targets(session).of([row.id for row in rows])
    return [EndpointView(row, targets[row.id][0]) for row in rows]


async def get(session: AsyncSession, endpoint_id: str) -> EndpointView:
    row = await _row(session, endpoint_id)
    return EndpointView(row, await _target(session, row.id))


async def update(
    session: AsyncSession,
    vault: Vault,
    principal: str,
    endpoint_id: str,
    changes: dict[str, Any],
    precondition: Precondition,
) -> EndpointView:
    """`url` and `headers` are the target's. Enabling it forgives what it has answered."""
    row = await _row(session, endpoint_id, for_update=True)
    precondition.ensure(row.revision)
    target = await _target(session, row.id)
    for name in changes.keys() & {"name", "description", "events", "enabled"}:
        setattr(row, name, changes[name])
    target.address = changes.get("url", target.address)
    if "headers" in changes:
        await TargetSecrets(vault).change_headers(session, target, changes["headers"])
    if changes.get("enabled"):
        target.failing_since = target.disabled_at = target.disabled_reason = None
    if changes:
        row.revision += 1
        row.updated_at = target.updated_at = utcnow()
        record(session, principal, "event_endpoint.updated", row.id, details={"changed": sorted(changes)})
    return EndpointView(row, target)


async def delete(session: AsyncSession, principal: str, endpoint_id: str, precondition: Precondition) -> None:
    row = await _row(session, endpoint_id, for_update=True)
    precondition.ensure(row.revision)
    await EventEndpoints(session).delete(row)
    record(session, principal, "event_endpoint.deleted", endpoint_id)


async def rotate_secret(
    session: AsyncSession, vault: Vault, principal: str, endpoint_id: str, overlap: timedelta
) -> EndpointView:
    row = await _row(session, endpoint_id, for_update=True)
    target = await _target(session, row.id)
    secret = await OwnedTargets(session, vault, OWNER, row.id).rotate(target, overlap)
    details = {"overlap_seconds": overlap.total_seconds()}
    record(session, principal, "event_endpoint.secret_rotated", row.id, details=details)
    return EndpointView(row, target, secret)


async def test(session: AsyncSession, principal: str, endpoint_id: str) -> DeliveryRow:
    """Also to one that is disabled."""
    row = await _row(session, endpoint_id)
    told = {"message": "This is a test: events arrive here."}
    about = Happening(TEST, utcnow(), Place(), object_id=row.id, principal=principal, details=told)
    values = event_row(row, await _target(session, row.id), about, utcnow(), is_test=True)
    await Deliveries(session).add_many([values])
    record(session, principal, "event_endpoint.tested", row.id)
    waken(session)
    return await _delivery(session, values["id"])


async def find_deliveries(
    session: AsyncSession, endpoint_id: str, states: Sequence[str], page: Page
) -> Sequence[DeliveryRow]:
    row = await _row(session, endpoint_id)
    return await Deliveries(session).of_endpoint(row.id, states, page)


async def resend(session: AsyncSession, principal: str, delivery_id: str) -> DeliveryRow:
    """Once more, under the same id and with all its tries. Raises Conflict while it is on its way."""
    row = await _delivery(session, delivery_id)
    if row.state == DeliveryState.PENDING:
        raise Conflict("It is on its way already.")
    now = utcnow()
    row.state, row.ended_at, row.failed_in_a_row = DeliveryState.PENDING, None, 0
    row.due_at = row.updated_at = now
    row.handed_over_at = None
    await session.flush()
    record(session, principal, "event_endpoint.resent", str(row.endpoint_id), details={"delivery_id": row.id})
    waken(session)
    return row


def wanted(url: str, headers: dict[str, str] | None, secret: str | None) -> Wanted:
    return Wanted(TargetKind.WEBHOOK, url, headers=headers, secret=secret)


async def _row(session: AsyncSession, endpoint_id: str, *, for_update: bool = False) -> EventEndpointRow:
    row = await EventEndpoints(session).get(endpoint_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such event endpoint.")
    return row


async def _target(session: AsyncSession, endpoint_id: str) -> TargetRow:
    return (await Targets(session).of([endpoint_id]))[endpoint_id][0]


async def _delivery(session: AsyncSession, delivery_id: str) -> DeliveryRow:
    """Of an event: those of alerts are not found here."""
    row = await Deliveries(session).get(delivery_id, for_update=True)
    if row is None or row.endpoint_id is None:
        raise NotFound("There is no such delivery.")
    return row
