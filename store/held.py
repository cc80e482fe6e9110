"""Every query about held executions: accepted during a pause, they wait for a drain to start them, in their order."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from domain.executions import Status
from domain.pausing import DISCARDED, HELD
from domain.queues import QUEUED_BEHIND
from store.dialect import affected
from store.tables import ExecutionRow


class HeldExecutions:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def count(self, instance_id: str) -> int:
        return (await self.counts([instance_id])).get(instance_id, 0)

    async def counts(self, instance_ids: Sequence[str]) -> dict[str, int]:
        """By instance; one without any is left out."""
        return await self._grouped(ExecutionRow.instance_id, ExecutionRow.instance_id.in_(instance_ids))

    async def counts_by_flow(self, instance_ids: Sequence[str]) -> dict[str, int]:
        """By instance flow; one without any is left out."""
        return await self._grouped(ExecutionRow.instance_flow_id, ExecutionRow.instance_id.in_(instance_ids))

    async def first(self, instance_id: str) -> str | None:
        """The id of the one that was accepted first."""
        query = select(ExecutionRow.id).where(ExecutionRow.instance_id == instance_id, *_held())
        return await self.session.scalar(query.order_by(ExecutionRow.id).limit(1))

    async def latest(self, instance_id: str, up_to: int, before: str | None, limit: int) -> Sequence[ExecutionRow]:
        """Those of a pause, newest first, from below an id on."""
        query = select(ExecutionRow).where(ExecutionRow.instance_id == instance_id, *_held())
        query = query.where(ExecutionRow.held <= up_to)
        if before is not None:
            query = query.where(ExecutionRow.id < before)
        return (await self.session.scalars(query.order_by(ExecutionRow.id.desc()).limit(limit))).all()

    async def release(self, execution_id: str, values: dict[str, Any]) -> bool:
        """It is held no longer, and may have begun; `values` are set besides. False: it was released before."""
        reason = case(
            (ExecutionRow.reason != HELD, ExecutionRow.reason),
            (ExecutionRow.queue_key.is_not(None), QUEUED_BEHIND),
            else_=None,
        )
        statement = update(ExecutionRow).where(ExecutionRow.id == execution_id, ExecutionRow.held.is_not(None))
        return bool(affected(await self.session.execute(statement.values(held=None, reason=reason, **values))))

    async def discard(self, execution_ids: Sequence[str], now: datetime) -> Sequence[ExecutionRow]:
        """Those that it has ended: nobody runs them."""
        ended = {"status": Status.SKIPPED, "reason": DISCARDED, "held": None, "ended_at": now, "updated_at": now}
        statement = update(ExecutionRow).where(ExecutionRow.id.in_(execution_ids), *_held()).values(**ended)
        returning = statement.returning(ExecutionRow).execution_options(
            synchronize_session=False, populate_existing=True
        )
        return (await self.session.scalars(returning)).all()

    async def _grouped(self, column: InstrumentedAttribute[str], which: ColumnElement[bool]) -> dict[str, int]:
        rows = await self.session.execute(select(column, func.count()).where(which, *_held()).group_by(column))
        return dict(rows.all())


def _held() -> tuple[ColumnElement[bool], ...]:
    """Word for word as the partial index has it: a bound value would hide it from SQLite's planner."""
    return ExecutionRow.held.is_not(None), ExecutionRow.status == literal_column(f"'{Status.QUEUED}'")
