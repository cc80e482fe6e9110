"""Keeping and removing maintenance windows."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from api.events import record
from domain.errors import Invalid, NotFound, Problem
from runtime.clock import utcnow
from runtime.ids import new_id
from store.customers import Customers
from store.instances import Instances
from store.monitors import MaintenanceWindows
from store.paging import Page
from store.tables import MaintenanceWindowRow


async def create(
    session: AsyncSession,
    principal: str,
    begin: datetime,
    end: datetime,
    customer_id: str | None,
    instance_id: str | None,
    note: str | None,
) -> MaintenanceWindowRow:
    """Raises Invalid for a customer or an instance that is not there."""
    if customer_id is not None and await Customers(session).get(customer_id) is None:
        raise _not_found("customer")
    if instance_id is not None and await Instances(session).get(instance_id) is None:
        raise _not_found("instance")
    now = utcnow()
    row = MaintenanceWindowRow(
        id=new_id("mw"),
        starts_at=begin,
        ends_at=end,
        customer_id=customer_id,
        instance_id=instance_id,
        note=note,
        principal=principal,
        created_at=now,
        updated_at=now,
    )
    MaintenanceWindows(session).add(row)
    action = "maintenance_window.created"
    record(session, principal, action, row.id, instance_id=instance_id, customer_id=customer_id)
    return row


async def find(session: AsyncSession, page: Page) -> Sequence[MaintenanceWindowRow]:
    return await MaintenanceWindows(session).list(page)


async def get(session: AsyncSession, window_id: str) -> MaintenanceWindowRow:
    row = await MaintenanceWindows(session).get(window_id)
    if row is None:
        raise NotFound("There is no such maintenance window.")
    return row


async def delete(session: AsyncSession, principal: str, window_id: str) -> None:
    row = await get(session, window_id)
    await MaintenanceWindows(session).delete(row.id)
    record(session, principal, "maintenance_window.deleted", window_id)


def _not_found(noun: str) -> Invalid:
    detail = f"There is no such {noun}."
    return Invalid(detail, [Problem(f"#/{noun}_id", "not_found", detail)])
