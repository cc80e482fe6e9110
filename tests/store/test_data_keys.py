from datetime import timedelta
from typing import Any

from store.data_keys import DataKeys
from store.engine import Database
from store.tables import DataKeyRow
from tests.factories import NOW, saved


def data_key(key_id: str, owner: str = "cust_1", generation: int = 1, **given: Any) -> DataKeyRow:
    usual = {"wrapped": b"", "wrapped_by": "k1", "created_at": NOW}
    return DataKeyRow(**usual | {"id": key_id, "owner": owner, "generation": generation} | given)


def ids(rows: Any) -> list[str]:
    return [row.id for row in rows]


async def test_highest_generation_encrypts(database: Database) -> None:
    await saved(database, data_key("dk_3", generation=1), data_key("dk_1", generation=2), data_key("dk_2", "cust_2"))
    async with database.transaction() as session:
        found = await DataKeys(session).current("cust_1")
        assert (found and found.id) == "dk_1"
        assert await DataKeys(session).current("cust_3") is None
        assert await DataKeys(session).current_ids(["cust_1", "cust_2", "cust_3"]) == {
            "cust_1": "dk_1",
            "cust_2": "dk_2",
        }


async def test_first_of_a_generation_wins(database: Database) -> None:
    async with database.transaction() as session:
        assert await DataKeys(session).add(data_key("dk_1"))
        assert not await DataKeys(session).add(data_key("dk_2"))
        assert await DataKeys(session).add(data_key("dk_3", generation=2))
    async with database.snapshot() as session:
        assert await DataKeys(session).get("dk_2") is None


async def test_keys_are_listed_by_what_a_rotation_does_with_them(database: Database) -> None:
    later = NOW + timedelta(seconds=1)
    await saved(
        database,
        data_key("dk_1"),
        data_key("dk_2", generation=2, wrapped_by="k2", created_at=later),
        data_key("dk_3", "cust_2"),
        data_key("dk_4", "cust_3", wrapped_by="k2"),
    )
    async with database.transaction() as session:
        keys = DataKeys(session)
        assert ids(await keys.wrapped_otherwise("k2", "", 9)) == ["dk_1", "dk_3"]
        assert ids(await keys.wrapped_otherwise("k2", "dk_1", 9)) == ["dk_3"]
        assert ids(await keys.wrapped_otherwise("k2", "", 1)) == ["dk_1"]
        assert ids(await keys.of_before(later, None, "", 9)) == ["dk_3", "dk_4"]
        assert ids(await keys.of_before(later, "cust_3", "", 9)) == ["dk_4"]
        assert ids(await keys.replaced(None, "", 9)) == ["dk_1"]
        assert ids(await keys.replaced("cust_2", "", 9)) == []
        assert await keys.counts() == {"k1": 2, "k2": 2}
        assert await keys.count_otherwise("k2") == 2


async def test_owners_keys_are_deleted(database: Database) -> None:
    await saved(database, data_key("dk_1"), data_key("dk_2", generation=2), data_key("dk_3", "cust_2"))
    async with database.transaction() as session:
        await DataKeys(session).delete_of("cust_1")
    async with database.snapshot() as session:
        assert await DataKeys(session).current_ids(["cust_1", "cust_2"]) == {"cust_2": "dk_3"}
