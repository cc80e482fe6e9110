"""Executions that are gone, counted as they go, so that the books balance without them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import increase
from store.tables import ExecutionRow, RemovedRow, StepRow

ACCEPTED, TESTS, STEPS = "accepted", "tests", "steps"

Key = tuple[str, datetime, str]  # customer, hour, kind


class RemovedExecutions:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def note(self, execution_ids: Sequence[str]) -> None:
        """Before they are deleted, in the same transaction."""
        query = select(ExecutionRow).where(ExecutionRow.id.in_(execution_ids))
        steps = await self._steps(execution_ids)
        counts: Counter[Key] = Counter()
        for row in await self.session.scalars(query):
            counts[row.customer_id, hour_of(row.queued_at), ACCEPTED] += 1
            if row.ended_at is not None:
                kind = TESTS if row.is_test else row.status
                counts[row.customer_id, hour_of(row.ended_at), kind] += 1
                counts[row.customer_id, hour_of(row.ended_at), STEPS] += steps.get(row.id, 0)
        names = ("customer_id", "hour", "kind", "count")
        values = [dict(zip(names, (*key, count), strict=True)) for key, count in sorted((+counts).items())]
        await increase(self.session, RemovedRow, values, names[:3], "count")

    async def _steps(self, execution_ids: Sequence[str]) -> dict[str, int]:
        query = select(StepRow.execution_id, func.count()).where(StepRow.execution_id.in_(execution_ids), CARRIED_OUT)
        return dict((await self.session.execute(query.group_by(StepRow.execution_id))).all())


CARRIED_OUT = StepRow.tries > 0  # and not taken over from the execution that it replays


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
