"""Every query about the flows of instances: their URLs, keys and schedules, and the tokens of those that are gone."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Update, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import affected, connection_of, insert_ignore, table_of
from store.executions import Moved
from store.paging import Page, paged
from store.tables import (
    CustomerRow,
    ExecutionRow,
    FlowApiKeyRow,
    InstanceFlowRow,
    InstanceRow,
    IntegrationRow,
    TombstoneRow,
)


class FlowKeys(NamedTuple):
    """What people know a flow by; never changes."""

    integration: str
    flow: str


class InstanceFlows:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: InstanceFlowRow) -> None:
        self.session.add(row)

    async def get(self, flow_id: str, *, for_update: bool = False) -> InstanceFlowRow | None:
        return await self.session.get(InstanceFlowRow, flow_id, with_for_update=for_update)

    async def keys_of(self, flow_id: str) -> FlowKeys:
        """Raises NoResultFound for a flow that is not there."""
        query = select(IntegrationRow.key, InstanceFlowRow.key).where(InstanceFlowRow.id == flow_id)
        query = query.join(InstanceRow, InstanceRow.id == InstanceFlowRow.instance_id)
        query = query.join(IntegrationRow, IntegrationRow.id == InstanceRow.integration_id)
        return FlowKeys(*(await self.session.execute(query)).one())

    async def invocation(self, flow_id: str) -> tuple[InstanceFlowRow, InstanceRow, CustomerRow] | None:
        """A flow with its instance and customer, in one query."""
        query = (
            select(InstanceFlowRow, InstanceRow, CustomerRow)
            .join(InstanceRow, InstanceRow.id == InstanceFlowRow.instance_id)
            .join(CustomerRow, CustomerRow.id == InstanceRow.customer_id)
            .where(InstanceFlowRow.id == flow_id)
        )
        found = (await self.session.execute(query)).one_or_none()
        return None if found is None else (found[0], found[1], found[2])

    async def of_instance(self, instance_id: str, active_only: bool = True) -> list[InstanceFlowRow]:
        """In definition order."""
        return (await self.of_instances([instance_id], active_only))[instance_id]

    async def of_instances(
        self, instance_ids: Sequence[str], active_only: bool = True
    ) -> dict[str, list[InstanceFlowRow]]:
        query = select(InstanceFlowRow).where(InstanceFlowRow.instance_id.in_(instance_ids))
        if active_only:
            query = query.where(InstanceFlowRow.active)
        found: dict[str, list[InstanceFlowRow]] = {instance_id: [] for instance_id in instance_ids}
        for row in await self.session.scalars(query.order_by(InstanceFlowRow.position, InstanceFlowRow.id)):
            found[row.instance_id].append(row)
        return found

    async def mark_schedules(self, instance_id: str) -> None:
        """The instance's schedules in Temporal may differ from now on: it was paused or goes on."""
        of_instance = update(InstanceFlowRow).where(InstanceFlowRow.instance_id == instance_id)
        await self.session.execute(of_instance.where(InstanceFlowRow.schedule.is_not(None)).values(schedule_dirty=True))

    async def dirty_schedules(self, limit: int) -> Sequence[InstanceFlowRow]:
        """Flows whose schedule in Temporal may differ from their row."""
        query = select(InstanceFlowRow).where(InstanceFlowRow.schedule_dirty).order_by(InstanceFlowRow.id)
        return (await self.session.scalars(query.limit(limit))).all()

    async def scheduled_instances(self, after: str, limit: int) -> Sequence[str]:
        """Those that have a schedule in Temporal, by id."""
        query = select(InstanceFlowRow.instance_id).where(InstanceFlowRow.schedule.is_not(None)).distinct()
        query = query.where(InstanceFlowRow.instance_id > after).order_by(InstanceFlowRow.instance_id).limit(limit)
        return (await self.session.scalars(query)).all()

    async def scheduled(self, after: str, limit: int) -> Sequence[tuple[InstanceFlowRow, InstanceRow]]:
        """Flows that Temporal should have a schedule of, by id from there on, with their instances."""
        query = select(InstanceFlowRow, InstanceRow).join(InstanceRow, InstanceRow.id == InstanceFlowRow.instance_id)
        query = query.where(InstanceFlowRow.schedule.is_not(None), InstanceFlowRow.active, InstanceFlowRow.id > after)
        query = query.where(InstanceRow.deployment_id.is_not(None), ~InstanceRow.deleting)
        rows = await self.session.execute(query.order_by(InstanceFlowRow.id).limit(limit))
        return [(row[0], row[1]) for row in rows]

    async def schedules_synced(self, applied: Sequence[tuple[str, dict[str, Any] | None]]) -> None:
        """Clear the mark of flows, given by id, whose row still has the schedule that Temporal was given."""
        schedules = dict(applied)
        query = select(InstanceFlowRow).where(InstanceFlowRow.id.in_(schedules), InstanceFlowRow.schedule_dirty)
        for row in await self.session.scalars(query.order_by(InstanceFlowRow.id).with_for_update()):
            row.schedule_dirty = row.schedule != schedules[row.id]

    async def note_ended(self, execution: ExecutionRow | Moved, *, failed: bool, at: datetime) -> None:
        """What a flow says about its latest execution. A test changes no failed state."""
        values: dict[str, Any] = {"last_execution_id": execution.id, "last_execution_at": at}
        if not execution.is_test:
            values["failed"] = failed
        given = values | {"flow_id": execution.instance_flow_id}
        await connection_of(self.session).execute(_note(tuple(values)), given)

    async def open_counts(self, flow_ids: Sequence[str]) -> dict[str, int]:
        """How many executions of each flow have not ended; a flow without any is left out."""
        query = select(ExecutionRow.instance_flow_id, func.count()).where(
            ExecutionRow.instance_flow_id.in_(flow_ids), ExecutionRow.ended_at.is_(None)
        )
        rows = await self.session.execute(query.group_by(ExecutionRow.instance_flow_id))
        return dict(rows.all())

    async def last_executions(self, flow_ids: Sequence[str]) -> dict[str, ExecutionRow]:
        """The latest of each flow that has ended; a flow without one is left out."""
        query = select(ExecutionRow).join(InstanceFlowRow, InstanceFlowRow.last_execution_id == ExecutionRow.id)
        rows = await self.session.scalars(query.where(InstanceFlowRow.id.in_(flow_ids)))
        return {row.instance_flow_id: row for row in rows}

    async def api_keys(self, flow_id: str) -> Sequence[FlowApiKeyRow]:
        query = select(FlowApiKeyRow).where(FlowApiKeyRow.instance_flow_id == flow_id).order_by(FlowApiKeyRow.id)
        return (await self.session.scalars(query)).all()

    async def list_api_keys(self, flow_id: str, page: Page) -> Sequence[FlowApiKeyRow]:
        query = select(FlowApiKeyRow).where(FlowApiKeyRow.instance_flow_id == flow_id)
        return (await self.session.scalars(paged(query, FlowApiKeyRow.id, page))).all()

    def add_api_key(self, row: FlowApiKeyRow) -> None:
        self.session.add(row)

    async def delete_api_key(self, flow_id: str, key_id: str) -> bool:
        of_flow = delete(FlowApiKeyRow).where(FlowApiKeyRow.instance_flow_id == flow_id)
        return bool(affected(await self.session.execute(of_flow.where(FlowApiKeyRow.id == key_id))))

    async def tombstone(self, token: str) -> TombstoneRow | None:
        return await self.session.get(TombstoneRow, token)

    async def add_tombstones(self, tokens: Sequence[str], at: datetime) -> None:
        """Repeating it keeps the first date."""
        rows = [{"token": token, "deleted_at": at} for token in tokens]
        await insert_ignore(self.session, TombstoneRow, rows, ["token"])

    async def purge_tombstones(self, before: datetime) -> int:
        return affected(await self.session.execute(delete(TombstoneRow).where(TombstoneRow.deleted_at < before)))


@lru_cache(maxsize=4)
def _note(columns: tuple[str, ...]) -> Update:
    table = table_of(InstanceFlowRow)
    statement = update(table).where(table.c.id == bindparam("flow_id"))
    return statement.values({name: bindparam(name) for name in columns})
