"""Every query about what monitors look for themselves: executions that take long, flows that are quiet or pile up."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, exists, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import Status, TriggerKind
from domain.ids import first_id
from store.tables import ExecutionRow, InstanceFlowRow, InstanceRow, UsageHourRow

# Word for word as in the index: SQLite uses a partial one only where the query says its very condition.
UNBALANCED: ColumnElement[bool] = literal_column("usage_hours.imbalance <> 0")
NOT_EXPECTED = (TriggerKind.DEPLOY.value, TriggerKind.REMOVE.value)  # nobody misses these


class Running(NamedTuple):
    id: str
    customer_id: str
    integration_id: str
    instance_id: str
    flow_id: str
    started_at: datetime


class Quiet(NamedTuple):
    """`since`: it was deployed, changed or enabled then."""

    flow_id: str
    customer_id: str
    integration_id: str
    instance_id: str
    deployed_at: datetime | None
    since: datetime
    latest_id: str | None


class Waiting(NamedTuple):
    flow_id: str
    customer_id: str
    integration_id: str
    instance_id: str
    number: int


class Unbalanced(NamedTuple):
    customer_id: str
    imbalance: int


class Watching:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def running(self, started_before: datetime, after: str, limit: int) -> Sequence[Running]:
        """Attempts under way, tests aside, by id from there on."""
        query = (
            select(
                ExecutionRow.id,
                ExecutionRow.customer_id,
                ExecutionRow.integration_id,
                ExecutionRow.instance_id,
                ExecutionRow.instance_flow_id,
                ExecutionRow.started_at,
            )
            .where(
                ExecutionRow.ended_at.is_(None),
                ExecutionRow.status == Status.RUNNING.value,
                ExecutionRow.is_test.is_(False),
                ExecutionRow.started_at <= started_before,
                ExecutionRow.id > after,
            )
            .order_by(ExecutionRow.id)
            .limit(limit)
        )
        return [Running._make(row) for row in await self.session.execute(query)]

    async def quiet(self, since: datetime, where: Sequence[str] | None, after: str, limit: int) -> Sequence[Quiet]:
        """Flows that could run and have not since then, tests aside. `where`: ids of what they must belong to."""
        own = (ExecutionRow.instance_flow_id == InstanceFlowRow.id, ExecutionRow.is_test.is_(False))
        latest = select(ExecutionRow.id).where(*own).order_by(ExecutionRow.id.desc()).limit(1).scalar_subquery()
        query = (
            select(
                InstanceFlowRow.id,
                InstanceRow.customer_id,
                InstanceRow.integration_id,
                InstanceRow.id,
                InstanceRow.deployed_at,
                InstanceRow.updated_at,
                latest,
            )
            .join(InstanceRow, InstanceRow.id == InstanceFlowRow.instance_id)
            .where(
                InstanceFlowRow.active,
                InstanceFlowRow.trigger.not_in(NOT_EXPECTED),
                InstanceRow.deployment_id.is_not(None),
                InstanceRow.enabled,
                InstanceRow.suspended_at.is_(None),
                ~InstanceRow.deleting,
                ~exists().where(*own, ExecutionRow.id >= first_id("exec", since)),
                InstanceFlowRow.id > after,
            )
        )
        if where is not None:
            query = query.where(_belongs(where))
        rows = await self.session.execute(query.order_by(InstanceFlowRow.id).limit(limit))
        return [Quiet._make(row) for row in rows]

    async def waiting(self, least: int) -> Sequence[Waiting]:
        """Flows of which at least so many executions have not begun."""
        flow = (
            ExecutionRow.instance_flow_id,
            ExecutionRow.customer_id,
            ExecutionRow.integration_id,
            ExecutionRow.instance_id,
        )
        query = (
            select(*flow, func.count())
            .where(ExecutionRow.ended_at.is_(None), ExecutionRow.status == Status.QUEUED.value)
            .group_by(*flow)
            .having(func.count() >= least)
        )
        return [Waiting._make(row) for row in await self.session.execute(query)]

    async def unbalanced(self) -> Sequence[Unbalanced]:
        """Customers whose books did not balance when they were last looked at."""
        total = func.sum(func.abs(UsageHourRow.imbalance))
        query = select(UsageHourRow.customer_id, total).where(UNBALANCED)
        rows = await self.session.execute(query.group_by(UsageHourRow.customer_id))
        return [Unbalanced._make(row) for row in rows]


def _belongs(ids: Sequence[str]) -> ColumnElement[bool]:
    columns = (InstanceFlowRow.id, InstanceRow.id, InstanceRow.customer_id, InstanceRow.integration_id)
    return or_(*(column.in_(ids) for column in columns))
