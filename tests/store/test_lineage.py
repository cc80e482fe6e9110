from domain.executions import Status
from store.engine import Database
from store.executions import Acceptance, ExecutionFilter, Executions
from store.lineage import Lineage
from store.paging import Page
from tests.factories import NOW, deployed, execution


async def test_the_first_success_resolves_the_root(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        root = execution(made.instance, made.flow, status=Status.FAILED)
        await Executions(session).accept(Acceptance(root))
        unresolved = ExecutionFilter(unresolved=True)
        assert len(await Executions(session).list(unresolved, Page(9))) == 1
        await Lineage(session).note_success(root.id, "exec_1", NOW)
        await Lineage(session).note_success(root.id, "exec_2", NOW)
        assert await Executions(session).list(unresolved, Page(9)) == []
    async with database.snapshot() as session:
        found = await Executions(session).get(root.id)
    assert found is not None
    assert (found.resolved_by, found.resolved_at) == ("exec_1", NOW)


async def test_success_before_the_failure_resolves_it_too(database: Database) -> None:
    """Somebody has replayed it while it was retrying."""
    async with database.transaction() as session:
        made = await deployed(session)
        root = execution(made.instance, made.flow, status=Status.RETRYING)
        await Executions(session).accept(Acceptance(root))
        await Lineage(session).note_success(root.id, "exec_1", NOW)
        await Executions(session).change(root.id, {"status": Status.FAILED, "ended_at": NOW})
        assert await Executions(session).list(ExecutionFilter(unresolved=True), Page(9)) == []
