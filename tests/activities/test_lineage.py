import pytest

from activities.replays import accept_replay, locked
from domain.executions import Status
from domain.messages import Failure
from store.executions import ExecutionFilter, Executions
from store.paging import Page
from tests.activities.kit import Kit, close_input, definition, open_input


async def replayed(kit: Kit, execution_id: str) -> str:
    async with kit.database.transaction() as session:
        row = await locked(session, execution_id)
        assert row is not None
        how = {"original_version": False, "from_failed_step": False}
        handover = await accept_replay(session, kit.deployments, kit.payloads, row, **how)
    return handover.execution_id


async def ended(kit: Kit, execution_id: str, status: Status) -> None:
    row = await kit.execution(execution_id)
    await kit.environment.run(kit.executions.open_execution, open_input(row))
    failure = Failure("http_500", "The shop is closed") if status == Status.FAILED else None
    await kit.environment.run(kit.executions.close_execution, close_input(row, status, failure=failure))


async def unresolved(kit: Kit) -> list[str]:
    async with kit.database.snapshot() as session:
        views = await Executions(session).list(ExecutionFilter(unresolved=True), Page(10))
    return [view.row.id for view in views]


async def test_replay_of_a_replay_resolves_the_original(kit: Kit) -> None:
    original = (await kit.accepted(await kit.made(definition({})))).id
    await ended(kit, original, Status.FAILED)
    first = await replayed(kit, original)
    await ended(kit, first, Status.FAILED)
    second = await replayed(kit, first)
    assert {(await kit.execution(each)).root_id for each in (first, second)} == {original}
    assert await unresolved(kit) == [original]  # a failed replay is none of its own
    await ended(kit, second, Status.SUCCEEDED)
    assert await unresolved(kit) == []
    assert (await kit.execution(original)).resolved_by == second
    await ended(kit, await replayed(kit, original), Status.SUCCEEDED)
    assert (await kit.execution(original)).resolved_by == second


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELED])
async def test_replay_that_does_not_succeed_resolves_nothing(kit: Kit, status: Status) -> None:
    original = (await kit.accepted(await kit.made(definition({})))).id
    await ended(kit, original, Status.FAILED)
    await ended(kit, await replayed(kit, original), status)
    assert await unresolved(kit) == [original]
