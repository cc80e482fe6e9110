"""What metrics count in the ledger: what is open, by what it waits for, and how far retention is behind."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.tables import ExecutionRow


class OpenOnes(NamedTuple):
    status: str
    reason: str  # empty without one
    number: int
    oldest_at: datetime


class Gauges:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def open_executions(self) -> Sequence[OpenOnes]:
        """Reads every open execution, by the index of those."""
        reason = func.coalesce(ExecutionRow.reason, "")
        query = select(ExecutionRow.status, reason, func.count(), func.min(ExecutionRow.queued_at))
        query = query.where(ExecutionRow.ended_at.is_(None)).group_by(ExecutionRow.status, reason)
        return [OpenOnes(*row) for row in await self.session.execute(query)]

    async def parked(self) -> int:
        query = select(func.count()).where(ExecutionRow.parked_until.is_not(None))
        return await self.session.scalar(query) or 0

    async def oldest_end(self) -> datetime | None:
        """Of the execution that was accepted first, among those that have ended."""
        query = select(ExecutionRow.ended_at).where(ExecutionRow.ended_at.is_not(None))
        return await self.session.scalar(query.order_by(ExecutionRow.id).limit(1))
