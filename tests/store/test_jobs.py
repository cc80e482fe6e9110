from datetime import timedelta

from store.engine import Database
from store.jobs import Jobs
from tests.factories import NOW, job, save


async def test_latest_job_of_an_object(database: Database) -> None:
    older, newer = job(object_id="inst_1"), job(object_id="inst_1")
    async with database.transaction() as session:
        await save(session, older, newer, job(object_id="inst_1", kind="delete"), job(object_id="inst_2"))
        assert await Jobs(session).by_object("deploy", "inst_1") is newer
        assert await Jobs(session).by_object("deploy", "inst_3") is None


async def test_pending_handover_is_old_open_and_not_handed_over(database: Database) -> None:
    minute = timedelta(minutes=1)
    first, second = job(created_at=NOW), job(created_at=NOW)
    others = [
        job(created_at=NOW + minute),
        job(created_at=NOW, handed_over_at=NOW),
        job(created_at=NOW, state="failed"),
    ]
    async with database.transaction() as session:
        await save(session, first, second, *others)
        jobs = Jobs(session)
        assert await jobs.pending_handover(NOW + minute, limit=10) == [first, second]
        assert await jobs.pending_handover(NOW + minute, limit=1) == [first]
        await jobs.mark_handed_over(first.id, NOW)
        assert await jobs.pending_handover(NOW + minute, limit=10) == [second]


async def test_ended_job_stays_as_it_is(database: Database) -> None:
    row = job()
    async with database.transaction() as session:
        await save(session, row)
        jobs = Jobs(session)
        later = NOW + timedelta(seconds=1)
        assert await jobs.change(row.id, later, stage="schedules", done=1)
        assert await jobs.change(row.id, later, state="succeeded", result={"version": 1})
        assert not await jobs.change(row.id, NOW, state="failed")
    async with database.snapshot() as session:
        found = await Jobs(session).get(row.id)
    assert found is not None
    assert (found.state, found.stage, found.done, found.result) == ("succeeded", "schedules", 1, {"version": 1})
    assert found.updated_at == later
