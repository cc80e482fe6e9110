"""Every query about alerts, and about the names of what they and events are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.monitors import TriggerType
from domain.notifications import DeliveryState
from store.dialect import contains_text, table_of
from store.paging import Page, paged
from store.tables import (
    AlertRow,
    ConnectionUseRow,
    CustomerRow,
    DeliveryRow,
    ExecutionRow,
    InstanceFlowRow,
    InstanceRow,
    IntegrationRow,
)

Names = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class AlertFilter:
    """`q` is any part of the message or of the monitor's name. Several values of one name are alternatives."""

    q: str | None = None
    monitor_ids: Sequence[str] = ()
    customer_ids: Sequence[str] = ()
    integration_ids: Sequence[str] = ()
    instance_ids: Sequence[str] = ()
    flow_ids: Sequence[str] = ()
    execution_ids: Sequence[str] = ()
    suppressed: bool | None = None
    after: datetime | None = None
    before: datetime | None = None


class Alerts:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def add_many(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """All columns of each."""
        if rows:
            await self.session.execute(insert(table_of(AlertRow)), list(rows))

    async def get(self, alert_id: str) -> AlertRow | None:
        return await self.session.get(AlertRow, alert_id)

    async def list(self, wanted: AlertFilter, page: Page) -> Sequence[AlertRow]:
        query = select(AlertRow).where(*_conditions(wanted))
        return (await self.session.scalars(paged(query, AlertRow.id, page))).all()

    async def purge(self, before: datetime, limit: int) -> Sequence[str]:
        """What is older, or of what is gone, once it is told; their ids. What tells that an instance was removed stays
        longer."""
        removed = AlertRow.trigger["type"].as_string() == TriggerType.INSTANCE_REMOVED.value
        gone = or_(
            and_(AlertRow.customer_id.is_not(None), ~exists().where(CustomerRow.id == AlertRow.customer_id)),
            and_(AlertRow.instance_id.is_not(None), ~removed, ~exists().where(InstanceRow.id == AlertRow.instance_id)),
            AlertRow.at < before,
        )
        pending = DeliveryRow.state == DeliveryState.PENDING.value
        untold = exists().where(DeliveryRow.alert_id == AlertRow.id, pending)
        ids = (await self.session.scalars(select(AlertRow.id).where(gone, ~untold).limit(limit))).all()
        await self.session.execute(delete(AlertRow).where(AlertRow.id.in_(ids)))
        return ids


class Subjects:
    """What things are called, for people who are told of them."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def instances(self, instance_ids: Sequence[str]) -> dict[str, Names]:
        """With their customer and integration; what is gone is left out."""
        query = (
            select(InstanceRow.id, InstanceRow.name, CustomerRow, IntegrationRow.id, IntegrationRow.name)
            .join(CustomerRow, CustomerRow.id == InstanceRow.customer_id)
            .join(IntegrationRow, IntegrationRow.id == InstanceRow.integration_id)
            .where(InstanceRow.id.in_(instance_ids))
        )
        return {
            instance_id: {
                "customer": _customer(customer),
                "integration": {"id": integration_id, "name": integration_name},
                "instance": {"id": instance_id, "name": name},
            }
            for instance_id, name, customer, integration_id, integration_name in await self.session.execute(query)
        }

    async def customers(self, customer_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        rows = await self.session.scalars(select(CustomerRow).where(CustomerRow.id.in_(customer_ids)))
        return {row.id: _customer(row) for row in rows}

    async def integrations(self, integration_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        query = select(IntegrationRow.id, IntegrationRow.name).where(IntegrationRow.id.in_(integration_ids))
        return {each: {"id": each, "name": name} for each, name in await self.session.execute(query)}

    async def flows(self, flow_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        rows = await self.session.scalars(select(InstanceFlowRow).where(InstanceFlowRow.id.in_(flow_ids)))
        return {row.id: {"id": row.id, "key": row.key, "name": row.name} for row in rows}

    async def tests(self, execution_ids: Sequence[str]) -> set[str]:
        """Which of them are tests: nobody is told of these."""
        query = select(ExecutionRow.id).where(ExecutionRow.id.in_(execution_ids), ExecutionRow.is_test)
        return set(await self.session.scalars(query))

    async def users(self, connection_ids: Sequence[str]) -> dict[str, list[str]]:
        """The instances that use each reusable connection."""
        query = select(ConnectionUseRow.connection_id, ConnectionUseRow.instance_id).distinct()
        found: dict[str, list[str]] = {}
        for connection_id, instance_id in await self.session.execute(
            query.where(ConnectionUseRow.connection_id.in_(connection_ids)).order_by(ConnectionUseRow.instance_id)
        ):
            found.setdefault(connection_id, []).append(instance_id)
        return found


def _customer(row: CustomerRow) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "external_id": row.external_id}


def _conditions(wanted: AlertFilter) -> list[ColumnElement[bool]]:
    any_of = (
        (AlertRow.monitor_id, wanted.monitor_ids),
        (AlertRow.customer_id, wanted.customer_ids),
        (AlertRow.integration_id, wanted.integration_ids),
        (AlertRow.instance_id, wanted.instance_ids),
        (AlertRow.flow_id, wanted.flow_ids),
        (AlertRow.execution_id, wanted.execution_ids),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in any_of if values]
    if wanted.suppressed is not None:
        conditions.append(AlertRow.suppressed.is_(wanted.suppressed))
    if wanted.after is not None:
        conditions.append(AlertRow.at >= wanted.after)
    if wanted.before is not None:
        conditions.append(AlertRow.at < wanted.before)
    if wanted.q:
        conditions.append(or_(*(contains_text(each, wanted.q) for each in (AlertRow.message, AlertRow.monitor_name))))
    return conditions
