"""Data keys: whose secrets they open, and whose they do not."""

import asyncio

import pytest
from sqlalchemy import select, update

from activities.held import Held
from activities.vault import KEYED_HASH, ORGANIZATION, Vault, data_key_row, missing_keys, open_keyring
from runtime.clock import utcnow
from runtime.crypto import DATA_FORMAT, DataKey, DecryptionFailed, KeyMissing, Keyring, data_key_id
from store.data_keys import DataKeys
from store.engine import Database
from store.removal import Removal
from store.tables import DataKeyRow
from tests.factories import customer, saved

K1, K2 = ("k1", b"1" * 32), ("k2", b"2" * 32)
RING = Keyring([K1])
PLACE = "instances/inst_1/config/token"
SECRET = {"token": "tok-123"}


async def sealed(database: Database, customer_id: str | None = "cust_1", place: str = PLACE) -> bytes:
    async with database.transaction() as session:
        return await Vault(RING).encrypt_json(session, customer_id, SECRET, place)


async def opened(database: Database, blob: bytes, place: str = PLACE, vault: Vault | None = None) -> object:
    async with database.snapshot() as session:
        return await (vault or Vault(RING)).decrypt_json(session, blob, place)


async def data_keys(database: Database) -> dict[str, DataKeyRow]:
    async with database.snapshot() as session:
        return {row.owner: row for row in await session.scalars(select(DataKeyRow))}


async def test_secret_comes_back_and_is_not_to_be_seen(database: Database) -> None:
    blob = await sealed(database)
    assert b"tok-123" not in blob
    assert await opened(database, blob) == SECRET


async def test_customer_has_one_key_and_the_organisation_another(database: Database) -> None:
    blobs = [await sealed(database, owner) for owner in ("cust_1", "cust_1", "cust_2", None)]
    keys = await data_keys(database)
    assert set(keys) == {"cust_1", "cust_2", ORGANIZATION}
    assert [data_key_id(blob) for blob in blobs] == [
        keys["cust_1"].id,
        keys["cust_1"].id,
        keys["cust_2"].id,
        keys[ORGANIZATION].id,
    ]
    assert {blob[0] for blob in blobs} == {DATA_FORMAT}


async def test_customers_first_secrets_at_once_share_a_key(database: Database) -> None:
    blobs = await asyncio.gather(*(sealed(database) for _ in range(8)))
    assert len({data_key_id(blob) for blob in blobs}) == len(await data_keys(database)) == 1


async def test_value_from_before_data_keys_is_read(database: Database) -> None:
    assert await opened(database, RING.encrypt_json(SECRET, PLACE)) == SECRET


@pytest.mark.parametrize("owner", ["cust_1", None])
async def test_secret_in_another_row_is_refused(database: Database, owner: str | None) -> None:
    blob = await sealed(database, owner)
    for place in ("instances/inst_2/config/token", "instances/inst_1/config/other", "deployments/inst_1/secrets"):
        with pytest.raises(DecryptionFailed):
            await opened(database, blob, place)


async def test_no_secret_opens_in_any_place_of_another(sqlite_database: Database) -> None:
    """Every pair of 4 customers' and the organisation's secrets in 8 places each."""
    owners = [*(f"cust_{number}" for number in range(4)), None]
    places = [
        (owner, f"instances/inst_{owner}_{row}/config/{key}") for owner in owners for row in "ab" for key in "stuv"
    ]
    vault, refused = Vault(RING), 0
    async with sqlite_database.transaction() as session:
        blobs = [await vault.encrypt_json(session, owner, SECRET, place) for owner, place in places]
        for blob, (_, home) in zip(blobs, places, strict=True):
            assert await vault.decrypt_json(session, blob, home) == SECRET
            for _, place in places:
                if place != home:
                    with pytest.raises(DecryptionFailed):
                        await vault.decrypt_json(session, blob, place)
                    refused += 1
    assert refused == 40 * 39


async def test_secret_that_names_another_customers_key_is_refused(database: Database) -> None:
    mine, other = await sealed(database), await sealed(database, "cust_2")
    names = len(b"..") + len(str(data_key_id(mine)))
    with pytest.raises(DecryptionFailed):
        await opened(database, other[:names] + mine[names:])


async def test_key_given_to_another_customer_opens_nothing(database: Database) -> None:
    """Whoever can write to the database moves a wrapped key, or renames its owner."""
    mine, other = await sealed(database), await sealed(database, "cust_2")
    keys = await data_keys(database)
    async with database.transaction() as session:
        stolen = update(DataKeyRow).where(DataKeyRow.owner == "cust_2").values(wrapped=keys["cust_1"].wrapped)
        await session.execute(stolen)
        renamed = update(DataKeyRow).where(DataKeyRow.owner == "cust_1").values(owner="cust_3")
        await session.execute(renamed)
    for blob in (mine, other):
        with pytest.raises(DecryptionFailed):
            await opened(database, blob)


async def test_deleted_customers_secrets_are_shredded(database: Database) -> None:
    """Of a copy that holds the values and not the keys nothing can be read."""
    owner, neighbour = customer(), customer()
    await saved(database, owner, neighbour)
    backup, spared = await sealed(database, owner.id), await sealed(database, neighbour.id)
    async with database.transaction() as session:
        assert (await Removal(session).customer(owner.id))["data_keys"] == 1
    assert set(await data_keys(database)) == {neighbour.id}
    with pytest.raises(DecryptionFailed, match="has been deleted"):
        await opened(database, backup)
    assert await opened(database, spared) == SECRET


async def test_key_that_a_rotation_adds_meanwhile_is_deleted_too(postgres_database: Database) -> None:
    database, owner = postgres_database, customer()
    await saved(database, owner)
    await sealed(database, owner.id)

    async def remove() -> None:
        async with database.transaction() as session:
            await Removal(session).customer(owner.id)

    async with database.transaction() as session:
        [row] = await DataKeys(session).of_before(utcnow(), owner.id, "", 10)
        await DataKeys(session).add(data_key_row(RING, DataKey.fresh("dk_2", row.owner), row.generation + 1))
        removing = asyncio.create_task(remove())
        await asyncio.sleep(0.2)
        assert not removing.done()
    await removing
    assert await data_keys(database) == {}


async def test_unwrapped_key_is_kept_and_then_forgotten(database: Database) -> None:
    keeping, forgetting, blob = Vault(RING), Vault(RING, held_seconds=0.0), await sealed(database)
    for vault in (keeping, forgetting):
        assert await opened(database, blob, vault=vault) == SECRET
    async with database.transaction() as session:
        await session.delete(await session.get_one(DataKeyRow, data_key_id(blob)))
    assert await opened(database, blob, vault=keeping) == SECRET
    with pytest.raises(DecryptionFailed):
        await opened(database, blob, vault=forgetting)


def test_held_is_bounded_and_forgets_what_was_not_asked_for() -> None:
    held: Held[int] = Held(2)
    held.put("a", 1)
    held.put("b", 2)
    assert held.get("a") == 1
    held.put("c", 3)
    assert [held.get(key) for key in "abc"] == [1, None, 3]


def test_held_is_read_again_after_its_time() -> None:
    held: Held[int] = Held(2, seconds=0.0)
    held.put("a", 1)
    assert held.get("a") is None


async def test_missing_key_is_told_apart_from_a_broken_value(database: Database) -> None:
    blob = await sealed(database)
    with pytest.raises(KeyMissing, match="k1"):
        await opened(database, blob, vault=Vault(Keyring([K2])))
    async with database.snapshot() as session:
        assert await missing_keys(session, Keyring([K2])) == {"k1": 1}
        assert await missing_keys(session, Keyring([K2, K1])) == {}


async def test_hashes_stay_when_keys_come_and_go(database: Database) -> None:
    before = Keyring([K1]).keyed_hash("order-7")
    assert (await open_keyring(database, [K1])).keyed_hash("order-7") == before
    assert (await open_keyring(database, [K2, K1])).keyed_hash("order-7") == before
    assert (await open_keyring(database, [K1, K2])).keyed_hash("order-7") == before
    assert set(await data_keys(database)) == {KEYED_HASH}


async def test_ring_without_the_key_of_the_hashes_is_refused(database: Database) -> None:
    await open_keyring(database, [K1])
    with pytest.raises(KeyMissing, match="k1"):
        await open_keyring(database, [K2])
