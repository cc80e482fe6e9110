import asyncio

from store.engine import Database
from store.state import State
from tests.factories import NOW, deployed


async def test_held_key_starts_without_a_value(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        row = await State(session).hold("flow", made.flow.id, "cursor", made.instance.id, NOW)
        assert row.value is None
        row.value = b"1"
    async with database.transaction() as session:
        row = await State(session).hold("flow", made.flow.id, "cursor", made.instance.id, NOW)
        assert row.value == b"1"


async def test_concurrent_holders_lose_no_write(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)

    async def increase() -> None:
        async with database.transaction() as session:
            row = await State(session).hold("flow", made.flow.id, "count", made.instance.id, NOW)
            row.value = str(int(row.value or b"0") + 1).encode()

    await asyncio.gather(*(increase() for _ in range(8)))
    async with database.transaction() as session:
        assert (await State(session).hold("flow", made.flow.id, "count", made.instance.id, NOW)).value == b"8"


async def test_keys_of_other_owners_are_others(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        state = State(session)
        for scope, owner, key in (
            ("flow", made.flow.id, "n"),
            ("instance", made.instance.id, "n"),
            ("flow", made.flow.id, "m"),
        ):
            row = await state.hold(scope, owner, key, made.instance.id, NOW)
            assert row.value is None
            row.value = key.encode()
            await session.flush()
