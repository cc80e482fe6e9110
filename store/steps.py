"""Every query about the records of steps."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import StepStatus
from store.dialect import table_of, upsert
from store.tables import StepRow

UNENDED = StepRow.status == StepStatus.RUNNING


class Steps:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, execution_id: str, attempt: int, path: str) -> StepRow | None:
        return await self.session.get(StepRow, (execution_id, attempt, path))

    async def record(self, rows: Sequence[StepRow]) -> bool:
        """Write records, or complete those of earlier tries. False: what has ended already stayed as it is."""
        values = [{column.key: getattr(row, column.key) for column in table_of(StepRow).columns} for row in rows]
        key = ["execution_id", "attempt", "path"]
        return await upsert(self.session, StepRow, values, key, where=UNENDED) == len(rows)

    async def succeeded(self, execution_id: str, path: str) -> StepRow | None:
        """The latest successful record of a path, in whichever attempt."""
        return await self.session.scalar(
            select(StepRow)
            .where(StepRow.execution_id == execution_id, StepRow.path == path, StepRow.status == StepStatus.SUCCEEDED)
            .order_by(StepRow.attempt.desc())
            .limit(1)
        )

    async def latest(self, execution_id: str, path: str) -> StepRow | None:
        return await self.session.scalar(
            select(StepRow)
            .where(StepRow.execution_id == execution_id, StepRow.path == path)
            .order_by(StepRow.attempt.desc())
            .limit(1)
        )

    async def of_execution(self, execution_id: str) -> Sequence[StepRow]:
        """All attempts, in the order in which the steps started."""
        rows = await self.session.scalars(
            select(StepRow)
            .where(StepRow.execution_id == execution_id)
            .order_by(StepRow.attempt, StepRow.position, StepRow.started_at)
        )
        return rows.all()
