import asyncio

import pytest

from domain.errors import TooLarge
from store import state
from store.engine import Database
from store.executions import Acceptance, Executions
from store.paging import Page
from store.removal import Removal
from store.state import Place, State
from tests.factories import NOW, Deployed, deployed, execution


def of_flow(made: Deployed) -> Place:
    return Place("flow", made.flow.id, made.instance.id)


def places(made: Deployed, execution_id: str = "exec_1") -> list[Place]:
    return [
        of_flow(made),
        Place("execution", execution_id, made.instance.id, execution_id),
        Place("instance", made.instance.id, made.instance.id),
        Place("integration", made.integration.id),
    ]


async def put(held: State, place: Place, key: str, value: bytes) -> None:
    await held.change(place, await held.hold(place, key, NOW), value, NOW)


async def keys(held: State, place: Place) -> list[str]:
    return [row.key for row in await held.list(place, Page(10))]


async def test_held_key_starts_without_a_value(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        for place in places(made):
            row = await State(session).hold(place, "cursor", NOW)
            assert (row.value, row.revision, row.size) == (None, 0, 0)
            assert await State(session).get(place, "cursor") is None
            await State(session).change(place, row, b"1", NOW)
    async with database.transaction() as session:
        for place in places(made):
            row = await State(session).hold(place, "cursor", NOW)
            assert (row.value, row.revision, row.size) == (b"1", 1, len("cursor") + 1)


async def test_concurrent_holders_lose_no_write(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)

    async def increase(place: Place) -> None:
        async with database.transaction() as session:
            row = await State(session).hold(place, "count", NOW)
            await State(session).change(place, row, str(int(row.value or b"0") + 1).encode(), NOW)

    mine = [of_flow(made), Place("integration", made.integration.id)]
    await asyncio.gather(*(increase(place) for place in mine * 8))
    async with database.transaction() as session:
        assert [(await State(session).hold(place, "count", NOW)).value for place in mine] == [b"8", b"8"]


async def test_keys_of_other_owners_are_others(database: Database) -> None:
    async with database.transaction() as session:
        made, held = await deployed(session), State(session)
        for place in places(made):
            await put(held, place, "n", place.scope.encode())
        await put(held, of_flow(made), "m", b"m")
        assert [(await held.hold(place, "n", NOW)).value for place in places(made)] == [
            b"flow",
            b"execution",
            b"instance",
            b"integration",
        ]
        assert await keys(held, of_flow(made)) == ["m", "n"]
        assert [row.key for row in await held.list(of_flow(made), Page(1, "m"))] == ["n"]


@pytest.mark.parametrize("scope", range(4))
async def test_clearing_takes_one_owners_values_only(database: Database, scope: int) -> None:
    async with database.transaction() as session:
        made, held = await deployed(session), State(session)
        for place in places(made):
            await put(held, place, "a", b"1")
            await put(held, place, "b", b"2")
        assert await held.clear(places(made)[scope], NOW) == 2
        assert [await keys(held, place) for place in places(made)] == [
            [] if number == scope else ["a", "b"] for number in range(4)
        ]
        assert await held.clear(places(made)[scope], NOW) == 0


async def test_an_instance_has_bounded_room_over_all_scopes(database: Database) -> None:
    third = state.LARGEST // 3
    async with database.transaction() as session:
        made, held = await deployed(session), State(session)
        flow, of_execution, of_instance, of_integration = places(made)
        for place, size in ((flow, third), (of_execution, third), (of_integration, third), (of_instance, third - 10)):
            await put(held, place, "a", b"1")
            (await held.hold(place, "a", NOW)).size = size  # as if it were that large
            await session.flush()
        with pytest.raises(TooLarge) as caught:
            await put(held, of_instance, "b", b"eleven long and more")
        assert caught.value.code == "state_full"
        # What does not grow may be written, and room that is given back is room.
        await put(held, of_instance, "b", b"short")
        await put(held, of_integration, "b", b"an integration has room of its own")
        await held.clear(flow, NOW)
        await put(held, of_instance, "b", b"eleven long and more")
        await put(held, flow, "a", b"again")


async def test_state_of_an_execution_goes_with_it(database: Database) -> None:
    async with database.transaction() as session:
        made, held = await deployed(session), State(session)
        row = execution(made.instance, made.flow)
        await Executions(session).accept(Acceptance(row))
        for place in places(made, row.id):
            await put(held, place, "a", b"1")
        assert (await Removal(session).executions([row.id], [row.id]))["state"] == 1
        assert [await keys(held, place) for place in places(made, row.id)] == [["a"], [], ["a"], ["a"]]
