"""Progress and end of the jobs that clients poll."""

from dataclasses import asdict
from typing import Any

from temporalio import activity

from domain.messages import JobEnd
from runtime.clock import utcnow
from store.engine import Database
from store.jobs import Jobs


class JobActivities:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def end_job(self, end: JobEnd) -> None:
        """The first end stays; so does what the job has reported on its way, unless a result is given."""
        values: dict[str, Any] = {"state": end.state}
        if end.result is not None:
            values["result"] = end.result
        if end.failure is not None:
            values["error"] = asdict(end.failure)
        async with self._database.transaction() as session:
            if end.state == "succeeded":
                await Jobs(session).enter(end.job_id, "done", utcnow())
            await Jobs(session).change(end.job_id, utcnow(), **values)

    async def enter(self, job_id: str, stage: str) -> None:
        async with self._database.transaction() as session:
            await Jobs(session).enter(job_id, stage, utcnow())

    async def progress(self, job_id: str, **values: Any) -> None:
        async with self._database.transaction() as session:
            await Jobs(session).change(job_id, utcnow(), **values)
