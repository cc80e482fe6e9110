from store.api_keys import ApiKeys
from store.engine import Database
from store.paging import Page
from store.tables import ApiKeyRow
from tests.factories import NOW, STAMPS, an_id


def a_key(hashed: str) -> ApiKeyRow:
    return ApiKeyRow(id=an_id("key"), name="CI", hash=hashed, scopes=["read"], **STAMPS)


async def test_key_found_by_hash_and_touched(database: Database) -> None:
    row = a_key("one")
    async with database.transaction() as session:
        ApiKeys(session).add(row)
        await ApiKeys(session).touch(row.id, NOW)
    async with database.snapshot() as session:
        found = await ApiKeys(session).by_hash("one")
        assert found is not None
        assert (found.scopes, found.last_used_at) == (["read"], NOW)
        assert await ApiKeys(session).by_hash("two") is None


async def test_keys_listed_and_deleted(database: Database) -> None:
    first, second = a_key("one"), a_key("two")
    async with database.transaction() as session:
        keys = ApiKeys(session)
        keys.add(first)
        keys.add(second)
        assert await keys.list(Page(limit=5)) == [second, first]
        assert await keys.delete(second.id)
        assert not await keys.delete(second.id)
        assert await keys.list(Page(limit=5)) == [first]
