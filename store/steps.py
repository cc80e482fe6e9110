"""Every query about the records of steps."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import StepStatus
from store.tables import StepRow


class Steps:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, execution_id: str, attempt: int, path: str) -> StepRow | None:
        return await self.session.get(StepRow, (execution_id, attempt, path))

    async def record(self, row: StepRow) -> StepRow:
        """Write a record, or complete the one of an earlier try. What has ended stays as it is and is returned."""
        held = await self.get(row.execution_id, row.attempt, row.path)
        if held is not None and held.status != StepStatus.RUNNING:
            return held
        merged = await self.session.merge(row)
        await self.session.flush()
        return merged

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
