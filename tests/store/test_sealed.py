import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from store.engine import Database
from store.sealed import Sealed, SealedColumn, begins, of_instance
from store.tables import ConfigValueRow, StateRow
from tests.factories import NOW, Deployed, deployed, save

VALUES = SealedColumn(StateRow, StateRow.value)
SECRETS = of_instance(ConfigValueRow, ConfigValueRow.secret, ConfigValueRow.instance_id)


def state(made: Deployed, key: str, value: bytes | None) -> StateRow:
    owner = {"owner_id": made.flow.id, "instance_id": made.instance.id}
    return StateRow(scope="flow", key=key, value=value, updated_at=NOW, **owner)


async def a_secret(session: AsyncSession, secret: bytes) -> Deployed:
    made = await deployed(session)
    await save(session, ConfigValueRow(instance_id=made.instance.id, key="pin", secret=secret, updated_at=NOW))
    return made


async def stated(database: Database, **values: bytes | None) -> Deployed:
    async with database.transaction() as session:
        made = await deployed(session)
        await save(session, *(state(made, key, value) for key, value in values.items()))
    return made


async def test_values_are_walked_in_the_order_of_their_keys(database: Database) -> None:
    made = await stated(database, b=b"\x01two", a=b"\x01one", c=None, d=b"\x01" * 100)
    async with database.snapshot() as session:
        sealed = Sealed(session, VALUES)
        first = await sealed.after(None, 2)
        rest = await sealed.after(first[-1].key, 2)
    assert [each.key for each in first] == [("flow", made.flow.id, "a"), ("flow", made.flow.id, "b")]
    assert [(each.head, each.size, each.customer_id) for each in first] == [
        (b"\x01one", 4, None),
        (b"\x01two", 4, None),
    ]
    assert [(each.key[-1], len(each.head), each.size) for each in rest] == [("d", 66, 100)]


async def test_values_are_found_by_their_customer(database: Database) -> None:
    async with database.transaction() as session:
        mine, other = await a_secret(session, b"\x02mine"), await a_secret(session, b"\x02other")
    async with database.snapshot() as session:
        sealed = Sealed(session, SECRETS)
        every = await sealed.after(None, 9)
        found = await sealed.after(None, 9, SECRETS.belongs(mine.customer.id))
    assert {each.customer_id for each in every} == {mine.customer.id, other.customer.id}
    assert [(each.head, each.customer_id) for each in found] == [(b"\x02mine", mine.customer.id)]


async def test_values_are_counted_by_their_beginnings(database: Database) -> None:
    await stated(database, a=b"\x01\x02k1x", b=b"\x01\x02k1y", c=b"\x01\x02k2z", d=None)
    async with database.snapshot() as session:
        sealed = Sealed(session, VALUES)
        assert await sealed.counts([b"", b"\x01\x02k1", b"\x01\x02k2", b"\x02"]) == [3, 2, 1, 0]
        assert (
            await sealed.any(begins(StateRow.value, b"\x01"), ~begins(StateRow.value, b"\x01\x02k1")) == b"\x01\x02k2z"
        )
        assert await sealed.any(begins(StateRow.value, b"\x02")) is None


async def test_value_is_replaced_while_it_is_held(database: Database) -> None:
    made = await stated(database, a=b"old", b=b"other")
    async with database.transaction() as session:
        sealed = Sealed(session, VALUES)
        [(key, value)] = await sealed.hold([("flow", made.flow.id, "a"), ("flow", made.flow.id, "gone")], wait=False)
        assert value == b"old"
        await sealed.put(key, b"new")
    async with database.snapshot() as session:
        assert [each.head for each in await Sealed(session, VALUES).after(None, 9)] == [b"new", b"other"]


async def test_value_that_another_holds_is_left_out_or_waited_for(postgres_database: Database) -> None:
    made = await stated(postgres_database, a=b"old", b=b"other")
    keys = [("flow", made.flow.id, key) for key in "ab"]

    async def waited_for() -> list[bytes]:
        async with postgres_database.transaction() as session:
            return [value for _, value in await Sealed(session, VALUES).hold(keys[:1], wait=True)]

    async with postgres_database.transaction() as writer:
        await Sealed(writer, VALUES).hold(keys[:1], wait=True)
        async with postgres_database.transaction() as session:
            held = await Sealed(session, VALUES).hold(keys, wait=False)
        assert [value for _, value in held] == [b"other"]
        waiting = asyncio.create_task(waited_for())
        await asyncio.sleep(0.1)
        await Sealed(writer, VALUES).put(keys[0], b"new")
    assert await waiting == [b"new"]
