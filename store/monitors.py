"""Every query about monitors and what they have found, alert groups, and maintenance windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.monitors import TriggerType
from store.dialect import affected, contains_text, insert_ignore
from store.outbox import removals_untold
from store.paging import Page, paged
from store.tables import (
    AlertGroupRow,
    ConditionRow,
    CustomerRow,
    DeliveryRow,
    EventEndpointRow,
    ExecutionRow,
    InstanceRow,
    IntegrationRow,
    MaintenanceWindowRow,
    MonitorRow,
    TargetRow,
)

Condition = tuple[str, str, str]  # monitor, trigger type, subject


@dataclass(frozen=True)
class MonitorFilter:
    """Several values of one name are alternatives, names are combined."""

    q: str | None = None
    names: Sequence[str] = ()
    customer_ids: Sequence[str] = ()
    integration_ids: Sequence[str] = ()
    instance_ids: Sequence[str] = ()
    flow_ids: Sequence[str] = ()
    triggered: bool | None = None
    enabled: bool | None = None


class Monitors:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: MonitorRow) -> None:
        self.session.add(row)

    async def get(self, monitor_id: str, *, for_update: bool = False) -> MonitorRow | None:
        return await self.session.get(MonitorRow, monitor_id, with_for_update=for_update)

    async def list(self, wanted: MonitorFilter, page: Page) -> Sequence[MonitorRow]:
        query = select(MonitorRow).where(*_conditions(wanted))
        return (await self.session.scalars(paged(query, MonitorRow.id, page))).all()

    async def delete(self, monitor_ids: Sequence[str]) -> None:
        for gone in (
            delete(ConditionRow).where(ConditionRow.monitor_id.in_(monitor_ids)),
            delete(TargetRow).where(TargetRow.owner_id.in_(monitor_ids)),
            delete(MonitorRow).where(MonitorRow.id.in_(monitor_ids)),
        ):
            await self.session.execute(gone.execution_options(synchronize_session=False))

    async def state(self) -> tuple[Any, ...]:
        """Another one whenever a client has changed a monitor or an event endpoint."""
        found: list[Any] = []
        for row in (MonitorRow, EventEndpointRow):
            # Clocks differ from machine to machine, so the time alone does not tell.
            marks = (func.count(), func.sum(row.revision), func.max(row.updated_at))
            found += (await self.session.execute(select(*marks).select_from(row))).one()
        return tuple(found)

    async def enabled(self) -> Sequence[MonitorRow]:
        return (await self.session.scalars(select(MonitorRow).where(MonitorRow.enabled))).all()

    async def around(
        self, instance_ids: Sequence[str], customer_ids: Sequence[str], integration_ids: Sequence[str]
    ) -> Sequence[MonitorRow]:
        """Those enabled ones that what happens there may concern."""
        anywhere = and_(*(column.is_(None) for column in _SCOPE))
        where = or_(
            anywhere,
            MonitorRow.instance_id.in_(instance_ids),
            MonitorRow.customer_id.in_(customer_ids),
            MonitorRow.integration_id.in_(integration_ids),
        )
        query = select(MonitorRow).where(MonitorRow.enabled, where).order_by(MonitorRow.id)
        return (await self.session.scalars(query)).all()

    async def locked(self, monitor_ids: Sequence[str]) -> dict[str, MonitorRow]:
        """Those of them that are there and enabled, held until the transaction ends."""
        query = select(MonitorRow).where(MonitorRow.id.in_(monitor_ids), MonitorRow.enabled).order_by(MonitorRow.id)
        return {row.id: row for row in await self.session.scalars(query.with_for_update())}

    async def trigger(self, alerts: Mapping[str, str], at: datetime) -> None:
        """The monitors, by id with their latest alert, are triggered until somebody clears them."""
        for monitor_id in sorted(alerts):
            values = {"triggered_at": func.coalesce(MonitorRow.triggered_at, at), "last_alert_id": alerts[monitor_id]}
            told = update(MonitorRow).where(MonitorRow.id == monitor_id).values(values)
            await self.session.execute(told.execution_options(synchronize_session=False))

    async def orphans(self, limit: int) -> Sequence[str]:
        """Of what has been deleted, once nothing is left to be told about it."""
        gone = or_(
            _is_gone(MonitorRow.instance_id, InstanceRow),
            _is_gone(MonitorRow.customer_id, CustomerRow),
            _is_gone(MonitorRow.integration_id, IntegrationRow),
        )
        own = select(TargetRow.id).where(TargetRow.owner_id == MonitorRow.id)
        sending = exists().where(DeliveryRow.state == "pending", DeliveryRow.target_id.in_(own))
        query = select(MonitorRow.id).where(gone, ~removals_untold(), ~sending).order_by(MonitorRow.id)
        return (await self.session.scalars(query.limit(limit))).all()


class Conditions:
    """What monitors look for, where it has been found and told already."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def of_type(self, trigger_type: str) -> dict[Condition, datetime]:
        query = select(ConditionRow).where(ConditionRow.type == trigger_type)
        return {(row.monitor_id, row.type, row.subject_id): row.since for row in await self.session.scalars(query)}

    async def held(self, trigger_type: str, subject_ids: Sequence[str]) -> set[Condition]:
        query = select(ConditionRow).where(ConditionRow.type == trigger_type, ConditionRow.subject_id.in_(subject_ids))
        return {(row.monitor_id, row.type, row.subject_id) for row in await self.session.scalars(query)}

    async def claim(self, condition: Condition, at: datetime) -> bool:
        """Once: False when it is held already."""
        monitor_id, trigger_type, subject_id = condition
        values = {"monitor_id": monitor_id, "type": trigger_type, "subject_id": subject_id, "since": at}
        return bool(await insert_ignore(self.session, ConditionRow, values, ["monitor_id", "type", "subject_id"]))

    async def release(self, conditions: Sequence[Condition]) -> None:
        key = tuple_(ConditionRow.monitor_id, ConditionRow.type, ConditionRow.subject_id)
        await self.session.execute(delete(ConditionRow).where(key.in_(conditions)))

    async def purge_slow(self, before: datetime) -> None:
        """Of executions that ended before then: the fact of their end has been told."""
        lasting = or_(ExecutionRow.ended_at.is_(None), ExecutionRow.ended_at >= before)
        there = exists().where(ExecutionRow.id == ConditionRow.subject_id, lasting)
        of_executions = (ConditionRow.type == TriggerType.EXECUTION_SLOW.value, ConditionRow.since < before)
        await self.session.execute(
            delete(ConditionRow).where(*of_executions, ~there).execution_options(synchronize_session=False)
        )


class AlertGroups:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: AlertGroupRow) -> None:
        self.session.add(row)

    async def get(self, group_id: str, *, for_update: bool = False) -> AlertGroupRow | None:
        return await self.session.get(AlertGroupRow, group_id, with_for_update=for_update)

    async def by_name(self, name: str) -> AlertGroupRow | None:
        return await self.session.scalar(select(AlertGroupRow).where(AlertGroupRow.name == name))

    async def known(self, group_ids: Sequence[str]) -> set[str]:
        return set(await self.session.scalars(select(AlertGroupRow.id).where(AlertGroupRow.id.in_(group_ids))))

    async def list(self, names: Sequence[str], page: Page) -> Sequence[AlertGroupRow]:
        query = select(AlertGroupRow)
        if names:
            query = query.where(AlertGroupRow.name.in_(names))
        return (await self.session.scalars(paged(query, AlertGroupRow.id, page))).all()

    async def delete(self, row: AlertGroupRow) -> None:
        await self.session.execute(delete(TargetRow).where(TargetRow.owner_id == row.id))
        await self.session.delete(row)


class MaintenanceWindows:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: MaintenanceWindowRow) -> None:
        self.session.add(row)

    async def get(self, window_id: str) -> MaintenanceWindowRow | None:
        return await self.session.get(MaintenanceWindowRow, window_id)

    async def list(self, page: Page) -> Sequence[MaintenanceWindowRow]:
        query = select(MaintenanceWindowRow)
        return (await self.session.scalars(paged(query, MaintenanceWindowRow.id, page))).all()

    async def at(self, now: datetime) -> Sequence[MaintenanceWindowRow]:
        """Those that last now."""
        lasting = (MaintenanceWindowRow.starts_at <= now, MaintenanceWindowRow.ends_at > now)
        return (await self.session.scalars(select(MaintenanceWindowRow).where(*lasting))).all()

    async def delete(self, window_id: str) -> bool:
        gone = delete(MaintenanceWindowRow).where(MaintenanceWindowRow.id == window_id)
        return bool(affected(await self.session.execute(gone)))

    async def purge(self, before: datetime) -> None:
        await self.session.execute(delete(MaintenanceWindowRow).where(MaintenanceWindowRow.ends_at < before))


_SCOPE = (MonitorRow.customer_id, MonitorRow.integration_id, MonitorRow.instance_id)


def _is_gone(column: Any, row: Any) -> ColumnElement[bool]:
    return and_(column.is_not(None), ~exists().where(row.id == column))


def _conditions(wanted: MonitorFilter) -> list[ColumnElement[bool]]:
    any_of = (
        (MonitorRow.name, wanted.names),
        (MonitorRow.customer_id, wanted.customer_ids),
        (MonitorRow.integration_id, wanted.integration_ids),
        (MonitorRow.instance_id, wanted.instance_ids),
        (MonitorRow.flow_id, wanted.flow_ids),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in any_of if values]
    if wanted.triggered is not None:
        is_triggered = MonitorRow.triggered_at.is_not(None)
        conditions.append(is_triggered if wanted.triggered else ~is_triggered)
    if wanted.enabled is not None:
        conditions.append(MonitorRow.enabled.is_(wanted.enabled))
    if wanted.q:
        conditions.append(contains_text(MonitorRow.name, wanted.q))
    return conditions
