"""What has changed of late, for those who watch. Cheap to ask again and again: keys first, rows of new ones only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import first_id
from store.tables import EventRow, ExecutionRow, LogRow, StepRow

AT_ONCE = 500  # rows of one query


class Changed(NamedTuple):
    id: str
    at: datetime


class ExecutionState(NamedTuple):
    """An execution without what belongs to it. Ids only: a name does not change with a status."""

    id: str
    status: str
    reason: str | None
    trigger: str
    is_test: bool
    customer_id: str
    instance_id: str
    integration_id: str
    instance_flow_id: str
    attempt: int
    max_attempts: int
    next_attempt_at: datetime | None
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    error: dict[str, Any] | None
    replay_of: str | None
    updated_at: datetime


class StepState(NamedTuple):
    """A step without what went in and came out."""

    execution_id: str
    attempt: int
    path: str
    key: str
    name: str
    component: str
    action: str
    iteration: list[int]
    status: str
    tries: int
    started_at: datetime
    ended_at: datetime | None
    branch: str | None
    error: dict[str, Any] | None


class StepMark(NamedTuple):
    """Differs whenever a step of the execution has begun another try or has ended."""

    execution_id: str
    steps: int
    tries: int
    ended: int


@dataclass(frozen=True)
class Owners:
    """Whose changes are asked for: of any of these. None: of all."""

    customer_ids: frozenset[str]
    instance_ids: frozenset[str]
    execution_ids: frozenset[str] = frozenset()


STATE = [getattr(ExecutionRow, name) for name in ExecutionState._fields]
STEP = [getattr(StepRow, name) for name in StepState._fields]


class Live:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def changed_executions(self, since: datetime) -> list[Changed]:
        query = select(ExecutionRow.id, ExecutionRow.updated_at).where(ExecutionRow.updated_at >= since)
        return [Changed(*row) for row in await self.session.execute(query.order_by(ExecutionRow.updated_at))]

    async def executions(self, ids: Sequence[str], owners: Owners | None = None) -> list[ExecutionState]:
        found: list[ExecutionState] = []
        for some in _batches(ids):
            query = select(*STATE).where(ExecutionRow.id.in_(some), *_of(ExecutionRow, owners))
            found += [ExecutionState(*row) for row in await self.session.execute(query)]
        return sorted(found, key=lambda state: (state.updated_at, state.id))

    async def executions_after(self, after: Changed, limit: int, owners: Owners | None) -> list[ExecutionState]:
        """In the order of their last change."""
        moved = tuple_(ExecutionRow.updated_at, ExecutionRow.id)
        query = select(*STATE).where(moved > (after.at, after.id), *_of(ExecutionRow, owners))
        query = query.order_by(ExecutionRow.updated_at, ExecutionRow.id).limit(limit)
        return [ExecutionState(*row) for row in await self.session.execute(query)]

    async def step_marks(self, execution_ids: Sequence[str]) -> list[StepMark]:
        found: list[StepMark] = []
        for some in _batches(execution_ids):
            query = select(
                StepRow.execution_id, func.count(), func.sum(StepRow.tries), func.count(StepRow.ended_at)
            ).where(StepRow.execution_id.in_(some))
            found += [StepMark(*row) for row in await self.session.execute(query.group_by(StepRow.execution_id))]
        return found

    async def steps(self, execution_id: str) -> list[StepState]:
        """All attempts, in the order in which the steps started."""
        query = select(*STEP).where(StepRow.execution_id == execution_id)
        query = query.order_by(StepRow.attempt, StepRow.position, StepRow.started_at)
        return [StepState(*row) for row in await self.session.execute(query)]

    async def event_ids(self, since: datetime) -> list[str]:
        query = select(EventRow.id).where(EventRow.id >= first_id("evt", since), EventRow.instance_id.is_not(None))
        return list(await self.session.scalars(query.order_by(EventRow.id)))

    async def events(self, ids: Sequence[str], owners: Owners | None) -> list[EventRow]:
        found: list[EventRow] = []
        for some in _batches(ids):
            query = select(EventRow).where(EventRow.id.in_(some), *_of(EventRow, owners))
            found += await self.session.scalars(query.order_by(EventRow.id))
        return found

    async def log_ids(self, since: datetime) -> list[str]:
        query = select(LogRow.id).where(LogRow.id >= first_id("log", since))
        return list(await self.session.scalars(query.order_by(LogRow.id)))


def owned_by(owners: Owners | None) -> list[ColumnElement[bool]]:
    """The condition of log lines."""
    if owners is None:
        return []
    return [or_(*_of(LogRow, owners), LogRow.execution_id.in_(owners.execution_ids))]


def _of(row: Any, owners: Owners | None) -> list[ColumnElement[bool]]:
    if owners is None:
        return []
    return [or_(row.customer_id.in_(owners.customer_ids), row.instance_id.in_(owners.instance_ids))]


def _batches(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]
