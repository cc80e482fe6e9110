"""Every query about jobs: the long work that clients poll."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import affected
from store.tables import JobRow

ENDED = ("succeeded", "failed", "aborted")


class Jobs:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: JobRow) -> None:
        self.session.add(row)

    async def ensure(self, row: JobRow) -> JobRow:
        """Add it unless it is there: the client that waits and the job itself may both be first."""
        held = await self.get(row.id)
        if held is None:
            self.session.add(row)
            await self.session.flush()
        return held or row

    async def get(self, job_id: str) -> JobRow | None:
        return await self.session.get(JobRow, job_id)

    async def by_object(self, kind: str, object_id: str) -> JobRow | None:
        """The latest job of this kind about the object."""
        query = select(JobRow).where(JobRow.kind == kind, JobRow.object_id == object_id).order_by(JobRow.id.desc())
        return await self.session.scalar(query.limit(1))

    async def pending_handover(self, before: datetime, limit: int) -> Sequence[JobRow]:
        """Created before then and not handed over to Temporal, oldest first."""
        query = select(JobRow).where(
            JobRow.handed_over_at.is_(None), JobRow.created_at < before, JobRow.state.not_in(ENDED)
        )
        return (await self.session.scalars(query.order_by(JobRow.id).limit(limit))).all()

    async def mark_handed_over(self, job_id: str, at: datetime) -> None:
        await self.session.execute(
            update(JobRow).where(JobRow.id == job_id, JobRow.handed_over_at.is_(None)).values(handed_over_at=at)
        )

    async def change(self, job_id: str, at: datetime, **values: Any) -> bool:
        """Set columns of a job that has not ended; False when it has, and nothing changed."""
        statement = update(JobRow).where(JobRow.id == job_id, JobRow.state.not_in(ENDED))
        return bool(affected(await self.session.execute(statement.values(updated_at=at, **values))))
