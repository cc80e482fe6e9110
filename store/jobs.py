"""Every query about jobs: the long work that clients poll."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.instants import utc_text
from store.dialect import affected
from store.tables import JobRow

ENDED = ("succeeded", "failed", "aborted")
DELETES = ("delete", "delete_customer")  # they outlive what they are about


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

    async def running(self, kind: str) -> JobRow | None:
        """The latest of this kind that has not ended."""
        query = select(JobRow).where(JobRow.kind == kind, JobRow.state.not_in(ENDED)).order_by(JobRow.id.desc())
        return await self.session.scalar(query.limit(1))

    async def succeeded(self, kind: str, object_id: str) -> Sequence[JobRow]:
        """Newest first."""
        query = select(JobRow).where(JobRow.object_id == object_id, JobRow.kind == kind, JobRow.state == "succeeded")
        return (await self.session.scalars(query.order_by(JobRow.id.desc()))).all()

    async def any_from_before(self, at: datetime) -> bool:
        """That have not ended."""
        query = select(JobRow.id).where(JobRow.state.not_in(ENDED), JobRow.created_at < at)
        return await self.session.scalar(query.limit(1)) is not None

    async def ids_of(self, object_id: str) -> Sequence[str]:
        """Of all jobs about the object, but those that delete it."""
        query = select(JobRow.id).where(JobRow.object_id == object_id, JobRow.kind.not_in(DELETES))
        return (await self.session.scalars(query.order_by(JobRow.id))).all()

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

    async def enter(self, job_id: str, stage: str, at: datetime) -> None:
        """It is at this stage now; nothing of a job that has ended."""
        row = await self._locked(job_id)
        if row is None or row.state in ENDED:
            return
        row.stage, row.updated_at = stage, at
        stages = row.stages or []
        if stage not in [each["stage"] for each in stages]:
            row.stages = [*stages, {"stage": stage, "at": utc_text(at)}]
        await self.session.flush()

    async def add_up(
        self, job_id: str, counts: Mapping[str, int], at: datetime, *, under: str | None = None, done: int = 0
    ) -> None:
        """Add to the numbers of its result, or of a part of it; also of one that has been aborted meanwhile."""
        row = await self._locked(job_id)
        if row is None:
            return
        result = dict(row.result or {})
        numbers = result if under is None else dict(result.get(under) or {})
        for name, count in counts.items():
            numbers[name] = numbers.get(name, 0) + count
        row.result = numbers if under is None else result | {under: numbers}
        row.done += done
        row.total = max(row.total, row.done)
        row.updated_at = at
        await self.session.flush()

    async def change(self, job_id: str, at: datetime, **values: Any) -> bool:
        """Set columns of a job that has not ended; False when it has, and nothing changed."""
        statement = update(JobRow).where(JobRow.id == job_id, JobRow.state.not_in(ENDED))
        return bool(affected(await self.session.execute(statement.values(updated_at=at, **values))))

    async def _locked(self, job_id: str) -> JobRow | None:
        return await self.session.get(JobRow, job_id, with_for_update=True, populate_existing=True)
