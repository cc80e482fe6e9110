"""The plans of what is looked for every few seconds: they read what is open, not what there is."""

from datetime import timedelta

from sqlalchemy import text

from domain.executions import Status
from runtime.clock import utcnow
from runtime.ids import new_id
from store.engine import Database
from store.watching import Watching
from tests.factories import Deployed, deployed, execution, save

LONG_AGO = utcnow() - timedelta(days=3)


async def made(database: Database) -> Deployed:
    async with database.transaction() as session:
        found = await deployed(session)
        found.instance.deployed_at = found.instance.updated_at = LONG_AGO
    return found


async def test_running_executions_come_in_pages(database: Database) -> None:
    found = await made(database)
    values = {"status": Status.RUNNING, "started_at": LONG_AGO}
    rows = [execution(found.instance, found.flow, id=new_id("exec"), **values) for _ in range(5)]
    async with database.transaction() as session:
        await save(session, *rows)
    seen: list[str] = []
    async with database.snapshot() as session:
        while page := await Watching(session).running(utcnow(), seen[-1] if seen else "", 2):
            seen += [row.id for row in page]
            assert page[0].flow_id == found.flow.id
    assert seen == [row.id for row in rows]


async def test_quiet_flow_tells_its_latest_execution(database: Database) -> None:
    found, other = await made(database), await made(database)
    rows = [execution(found.instance, found.flow, status=Status.SUCCEEDED) for _ in range(2)]
    async with database.transaction() as session:
        await save(session, *rows)
    async with database.snapshot() as session:
        quiet = await Watching(session).quiet(utcnow(), None, "", 10)
        here = await Watching(session).quiet(utcnow(), [found.customer.id], "", 10)
        nowhere = await Watching(session).quiet(utcnow(), [], "", 10)
    assert {row.flow_id: row.latest_id for row in quiet} == {found.flow.id: rows[1].id, other.flow.id: None}
    assert [row.flow_id for row in here] == [found.flow.id]
    assert nowhere == []


async def test_waiting_executions_are_counted_by_flow(database: Database) -> None:
    found, other = await made(database), await made(database)
    rows = [execution(found.instance, found.flow) for _ in range(3)]
    rows += [execution(other.instance, other.flow), execution(found.instance, found.flow, status=Status.SUCCEEDED)]
    async with database.transaction() as session:
        await save(session, *rows)
    async with database.snapshot() as session:
        assert [(row.flow_id, row.number) for row in await Watching(session).waiting(2)] == [(found.flow.id, 3)]


async def test_executions_that_have_ended_are_not_read(postgres_database: Database) -> None:
    found = await made(postgres_database)
    ended = [execution(found.instance, found.flow, id=new_id("exec"), status=Status.SUCCEEDED) for _ in range(500)]
    async with postgres_database.transaction() as session:
        await save(session, *ended)
    async with postgres_database.transaction() as session:
        await session.execute(text("ANALYZE executions"))
        plans = [
            "SELECT id FROM executions WHERE ended_at IS NULL AND status = 'running' AND NOT is_test "
            "AND started_at <= now() AND id > '' ORDER BY id LIMIT 1000",
            "SELECT instance_flow_id, count(*) FROM executions WHERE ended_at IS NULL AND status = 'queued' "
            "GROUP BY instance_flow_id HAVING count(*) >= 2",
        ]
        shown = ["\n".join(await session.scalars(text(f"EXPLAIN {plan}"))) for plan in plans]
    assert all("Seq Scan" not in plan for plan in shown), shown
