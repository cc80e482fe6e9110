from domain.executions import Status
from store.engine import Database
from store.executions import Acceptance, Executions
from store.held import HeldExecutions
from store.tables import ExecutionRow
from tests.factories import NOW, Deployed, deployed, execution, instance_flow, save


async def held(database: Database, made: Deployed, *numbers: int | None, **given: object) -> list[ExecutionRow]:
    """One for each number; the flow is the instance's unless another one is given."""
    async with database.transaction() as session:
        rows = [execution(made.instance, made.flow, held=number, reason="held", **given) for number in numbers]
        for row in rows:
            await Executions(session).accept(Acceptance(row))
    return rows


async def made_in(database: Database) -> Deployed:
    async with database.transaction() as session:
        return await deployed(session)


async def test_held_executions_are_counted_by_instance_and_flow(database: Database) -> None:
    made, other, idle = [await made_in(database) for _ in range(3)]
    second = instance_flow(made.instance, "second")
    async with database.transaction() as session:
        await save(session, second)
    await held(database, made, 0, 0, None)
    await held(database, made, 0, instance_flow_id=second.id)
    await held(database, other, 4)
    await held(database, made, 0, status=Status.CANCELED)
    ids = [each.instance.id for each in (made, other, idle)]
    async with database.snapshot() as session:
        counted = HeldExecutions(session)
        assert await counted.counts(ids) == {made.instance.id: 3, other.instance.id: 1}
        assert await counted.counts([]) == {}
        assert await counted.counts_by_flow([made.instance.id]) == {made.flow.id: 2, second.id: 1}
        assert (await counted.count(made.instance.id), await counted.count(idle.instance.id)) == (3, 0)


async def test_first_is_the_one_accepted_first(database: Database) -> None:
    made = await made_in(database)
    rows = await held(database, made, None, 0, 1)
    async with database.transaction() as session:
        repository = HeldExecutions(session)
        assert await repository.first(made.instance.id) == rows[1].id
        assert await repository.release(rows[1].id, {"handed_over_at": NOW})
        assert not await repository.release(rows[1].id, {"handed_over_at": None})
        assert await repository.first(made.instance.id) == rows[2].id
    async with database.snapshot() as session:
        row = await session.get_one(ExecutionRow, rows[1].id)
        assert (row.held, row.reason, row.handed_over_at, row.status) == (None, None, NOW, Status.QUEUED)


async def test_release_of_one_that_has_begun_leaves_what_it_says(database: Database) -> None:
    made = await made_in(database)
    [row] = await held(database, made, 0)
    async with database.transaction() as session:
        begun = await session.get_one(ExecutionRow, row.id)
        begun.status, begun.reason = Status.SKIPPED, "overlap"
        await session.flush()
        assert await HeldExecutions(session).release(row.id, {})
    async with database.snapshot() as session:
        seen = await session.get_one(ExecutionRow, row.id)
        assert (seen.status, seen.reason, seen.held) == (Status.SKIPPED, "overlap", None)


async def test_those_of_a_pause_come_newest_first_in_pieces(database: Database) -> None:
    made = await made_in(database)
    rows = await held(database, made, 1, 1, 1, 2)
    async with database.snapshot() as session:
        repository = HeldExecutions(session)
        latest = await repository.latest(made.instance.id, 1, None, 2)
        assert [row.id for row in latest] == [rows[2].id, rows[1].id]
        rest = await repository.latest(made.instance.id, 1, latest[-1].id, 2)
        assert [row.id for row in rest] == [rows[0].id]


async def test_discarded_ones_are_skipped_and_only_while_they_wait(database: Database) -> None:
    made = await made_in(database)
    [waiting] = await held(database, made, 0)
    [running] = await held(database, made, 0, status=Status.RUNNING)
    async with database.transaction() as session:
        gone = await HeldExecutions(session).discard([waiting.id, running.id], NOW)
        assert [row.id for row in gone] == [waiting.id]
    async with database.snapshot() as session:
        row = await session.get_one(ExecutionRow, waiting.id)
        assert (row.status, row.reason, row.held, row.ended_at) == (Status.SKIPPED, "discarded", None, NOW)
        assert (await session.get_one(ExecutionRow, running.id)).status == Status.RUNNING


async def test_what_is_held_is_not_pending(database: Database) -> None:
    made = await made_in(database)
    _, free = await held(database, made, 0, None)
    async with database.snapshot() as session:
        pending = await Executions(session).pending(NOW.replace(year=2030), 10)
    assert [view.row.id for view in pending] == [free.id]
