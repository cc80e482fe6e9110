"""Rotating keys on the ledger: everything is readable before, during and after, and the old key can go."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import LargeBinary, select
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.configuration import Configuration
from activities.payloads import Payloads
from activities.places import FLEETING, places
from activities.schedules import Schedules, schedule_id
from activities.state import state_context
from activities.vault import KEYED_HASH, ORGANIZATION, Vault, open_keyring
from domain.messages import RotateBatch, RotateInput
from domain.rotation import REPLACED, SCHEDULES, advanced, ended, outcome
from runtime.clock import utcnow
from runtime.crypto import DecryptionFailed, Keyring, data_key_id
from store.engine import Database
from store.tables import (
    Base,
    ConfigValueRow,
    JobRow,
    PayloadRow,
    StateRow,
)
from tests.activities.rotating import (
    BOTH,
    GIVEN,
    GREETER,
    K1,
    K2,
    NAMESPACE,
    NEW,
    OLD,
    NotedSchedules,
    Rotation,
    furnished,
    hide_connection,
    read,
    read_connections,
)
from tests.factories import NOW, an_id, saved
from tests.fixtures.temporal import encrypting_client


class Killed(Exception):
    """The worker is gone."""


async def rows(database: Database, table: type[Any]) -> list[Any]:
    async with database.snapshot() as session:
        return list(await session.scalars(select(table)))


async def test_old_key_can_go_after_a_rotation(database: Database) -> None:
    await open_keyring(database, [K1])
    worlds = [await furnished(database), await furnished(database, before_data_keys=True), await furnished(database)]
    noted = NotedSchedules()
    rotation = Rotation(database, schedules=noted)
    state = await rotation.plan()
    while not ended(state):
        for world in worlds:
            await read(database, BOTH, world)
        state = advanced(state, await rotation.batch(state))
    assert outcome(state).state == "succeeded"
    ring = await open_keyring(database, [K2])
    assert ring.keyed_hash("a") == OLD.keyed_hash("a")
    for world in worlds:
        await read(database, ring, world)
    assert noted.synced == [world.instance_id for world in worlds]
    [progress] = await rows(database, JobRow)
    assert (progress.total, progress.done, progress.failed) == (state.done, state.done, 0)
    assert state.done > 20


async def test_rotation_that_has_nothing_to_do_writes_nothing(database: Database) -> None:
    await furnished(database, NEW)
    rotation = Rotation(database, NEW)
    before = await rows(database, StateRow) + await rows(database, PayloadRow)
    state = await rotation.run(await rotation.plan())
    assert (state.done, outcome(state).state) == (0, "succeeded")
    after = await rows(database, StateRow) + await rows(database, PayloadRow)
    assert [vars(row).get("value", vars(row).get("body")) for row in before] == [
        vars(row).get("value", vars(row).get("body")) for row in after
    ]


async def test_data_keys_are_replaced(database: Database) -> None:
    world = await furnished(database, NEW)
    ring = await open_keyring(database, [K2])
    async with database.transaction() as session:
        await hide_connection(session, Vault(ring), None)
    rotation = Rotation(database, ring)
    before = await rotation.keys()
    state = await rotation.run(await rotation.plan(data_keys=True))
    after = await rotation.keys()
    assert outcome(state).state == "succeeded"
    assert {row.owner for row in after} == {world.made.customer.id, ORGANIZATION, KEYED_HASH}
    assert {row.id for row in before} & {row.id for row in after} == {
        row.id for row in before if row.owner == KEYED_HASH
    }
    await read(database, ring, world)
    async with database.snapshot() as session:
        await read_connections(session, Vault(ring), None)
    assert (await open_keyring(database, [K2])).keyed_hash("a") == ring.keyed_hash("a")


async def test_rotation_of_one_customer_leaves_the_others(database: Database) -> None:
    mine, other = await furnished(database), await furnished(database)
    rotation = Rotation(database)
    before = {row.owner: row.id for row in await rotation.keys()}
    state = await rotation.run(await rotation.plan(data_keys=True, customer_id=mine.made.customer.id))
    after = {row.owner: row.id for row in await rotation.keys()}
    assert state.done == 6
    assert before[other.made.customer.id] == after[other.made.customer.id]
    assert before[mine.made.customer.id] != after[mine.made.customer.id]
    for world in (mine, other):
        await read(database, BOTH, world)


async def test_rotation_that_is_killed_goes_on(database: Database) -> None:
    """An activity that is lost after each of its transactions, and repeated, comes to the same."""
    worlds = [await furnished(database) for _ in range(3)]
    rotation = Rotation(database)
    state = await rotation.plan(data_keys=True)
    killed = 0
    while not ended(state):
        for survived in range(1, 10):
            try:
                batch = await killed_after(rotation, survived, state)
                break
            except Killed:
                killed += 1
                for world in worlds:
                    await read(database, BOTH, world)
        state = advanced(state, batch)
    assert killed >= 9
    assert outcome(state).state == "succeeded"
    for world in worlds:
        await read(database, NEW, world)
    assert len(await rotation.keys()) == len(worlds)


async def killed_after(rotation: Rotation, heartbeats: int, state: RotateInput) -> RotateBatch:
    """An activity beats before its first transaction and after each."""
    beats = iter(range(heartbeats))

    def beat(*_: Any) -> None:
        if next(beats, None) is None:
            raise Killed

    environment = ActivityEnvironment()
    environment.on_heartbeat = beat
    batch: RotateBatch = await environment.run(rotation.activities.rotate_batch, state)
    return batch


async def test_write_while_keys_rotate_wins(database: Database) -> None:
    world = await furnished(database)
    rotation = Rotation(database)
    state = await rotation.plan(data_keys=True)
    words = iter(range(100))
    said = ""
    while not ended(state):
        said = f"word {next(words)}"
        async with database.transaction() as session:
            await Configuration(Vault(BOTH)).write(
                session, world.made.instance, GREETER.fields(), {"password": said}, utcnow()
            )
        state = advanced(state, await rotation.batch(state))
        async with database.snapshot() as session:
            held = await Configuration(Vault(BOTH)).read(session, world.instance_id)
        assert held["password"] == said
    assert outcome(state).state == "succeeded"
    assert len(await rotation.keys()) == 1


async def test_write_that_was_under_way_is_waited_for(database: Database) -> None:
    world = await furnished(database)
    rotation = Rotation(database)
    state = await rotation.plan(data_keys=True)
    while state.stages[state.at] != "config_values.secret":
        state = advanced(state, await rotation.batch(state))
    async with database.transaction() as session:
        configuration = Configuration(Vault(BOTH))
        await configuration.write(session, world.made.instance, GREETER.fields(), {"password": "mine"}, utcnow())
        batch = asyncio.create_task(rotation.batch(state))
        await asyncio.sleep(0.2)
        assert not batch.done()
    await batch
    async with database.snapshot() as session:
        assert await configuration.read(session, world.instance_id) == {"password": "mine"}


async def test_write_under_a_data_key_that_was_replaced_meanwhile_is_found(postgres_database: Database) -> None:
    """It began before the new key came, and ends when its table has been walked through."""
    database = postgres_database
    world = await furnished(database)
    rotation = Rotation(database)
    state = await rotation.plan(data_keys=True)
    place = f"instances/{world.instance_id}/config/late"
    async with database.transaction() as session:
        late = await Vault(BOTH).encrypt_json(session, world.made.customer.id, "late", place)
        session.add(ConfigValueRow(instance_id=world.instance_id, key="late", secret=late, updated_at=NOW))
        await session.flush()
        while state.stages[state.at] != "deployments.secrets":
            state = advanced(state, await rotation.batch(state))
    while state.stages[state.at] != REPLACED:
        state = advanced(state, await rotation.batch(state))
    found = await rotation.batch(state)
    assert found.kept == 1
    state = await rotation.run(advanced(state, found))
    assert (state.round, outcome(state).state) == (2, "succeeded")
    [key] = await rotation.keys()
    assert data_key_id(late) != key.id
    async with database.snapshot() as session:
        assert (await Configuration(Vault(BOTH)).read(session, world.instance_id))["late"] == "late"


async def test_value_that_cannot_be_decrypted_stops_nothing_else(database: Database) -> None:
    broken, whole = await furnished(database), await furnished(database)
    async with database.transaction() as session:
        row = await session.get_one(ConfigValueRow, (broken.instance_id, "password"))
        row.secret = b"\x02" + (row.secret or b"")[1:-1] + b"x"
    rotation = Rotation(database)
    state = await rotation.run(await rotation.plan(data_keys=True))
    end = outcome(state)
    assert (end.state, end.failure and end.failure.code) == ("failed", "values_unreadable")
    assert end.result == {"rewritten": state.done, "unreadable": 1, "old_data_keys_in_use": 1}
    await read(database, NEW, whole)
    with pytest.raises(DecryptionFailed):
        await read(database, NEW, broken)
    assert len(await rotation.keys()) == 3


async def test_key_that_is_lost_stops_nothing_else(database: Database) -> None:
    await furnished(database, Keyring([("lost", b"0" * 32)]))
    whole = await furnished(database)
    rotation = Rotation(database)
    state = await rotation.run(await rotation.plan())
    assert outcome(state).state == "failed"
    assert state.failed == 8  # its data key, and what is straight under the ring
    await read(database, NEW, whole)


async def test_worker_with_other_keys_refuses(database: Database) -> None:
    await furnished(database)
    state = await Rotation(database).plan()
    with pytest.raises(ApplicationError, match="encrypts with k1") as caught:
        await Rotation(database, OLD).batch(state)
    assert not caught.value.non_retryable
    [progress] = await rows(database, JobRow)
    assert progress.stage == "waiting_for_workers"


async def test_large_values_are_rewritten_a_few_at_a_time(sqlite_database: Database) -> None:
    world = await furnished(sqlite_database)
    payload = replace(GIVEN, body=b"x" * 3_000_000)
    sealed = [Payloads(OLD).seal(payload, an_id("exec"), world.instance_id, NOW) for _ in range(3)]
    await saved(sqlite_database, *sealed)
    rotation = Rotation(sqlite_database)
    beats: list[Any] = []
    rotation.environment.on_heartbeat = lambda *given: beats.append(given)
    state = replace(await rotation.plan(), stages=["payloads.body"])
    assert (await rotation.batch(state)).done == 4
    assert len(beats) == 1 + 3
    for row in await rows(sqlite_database, PayloadRow):
        assert Payloads(BOTH).open(row).body[:1] in (b"x", b"o")


async def test_long_stage_is_walked_in_pieces(database: Database) -> None:
    world = await furnished(database)
    await saved(
        database,
        *(
            StateRow(
                scope="flow",
                owner_id=world.made.flow.id,
                key=f"{number:04}",
                instance_id=world.instance_id,
                value=OLD.encrypt_json(number, state_context("flow", world.made.flow.id, f"{number:04}")),
                updated_at=NOW,
            )
            for number in range(1_100)
        ),
    )
    rotation = Rotation(database)
    state = await rotation.run(replace(await rotation.plan(), stages=["state.value"]))
    assert state.done == 1_101
    for row in await rows(database, StateRow):
        if row.value is not None:
            NEW.decrypt(row.value, state_context(row.scope, row.owner_id, row.key))


def test_every_encrypted_column_is_rotated() -> None:
    """Whoever adds one adds it to activities/places.py: a rotation removes data keys that nothing there is under."""
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert columns - {"data_keys.wrapped", FLEETING.name} == set(places(NAMESPACE))


async def test_schedules_start_with_what_the_new_key_encrypts(sqlite_database: Database, temporal_address: str) -> None:
    world = await furnished(sqlite_database)
    old = Schedules(await encrypting_client(temporal_address, keyring=OLD), sqlite_database, "unused")
    new_client = await encrypting_client(temporal_address, keyring=BOTH)
    await old.sync_instance(world.instance_id)

    async def key_of_its_start() -> bytes:
        found = await new_client.get_schedule_handle(schedule_id(world.made.flow.id)).describe()
        [payload] = found.raw_description.schedule.action.start_workflow.input.payloads
        return payload.metadata["encryption-key-id"]

    assert await key_of_its_start() == b"k1"
    rotation = Rotation(sqlite_database, schedules=Schedules(new_client, sqlite_database, "unused"))
    await rotation.run(replace(await rotation.plan(), stages=[SCHEDULES]))
    assert await key_of_its_start() == b"k2"
    await old.delete(world.made.flow.id)
