import pytest
from sqlalchemy import select

from domain.errors import MalformedBody
from store.engine import Database
from store.paging import Page, Sort, sorted_page
from store.tables import CustomerRow
from tests.factories import NOW, customer, saved

NAMES = ["Ä", "a", "b", "b", "c", "z"]


async def walk(database: Database, sort: Sort, limit: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    after: str | None = None
    while True:
        async with database.snapshot() as session:
            query = sorted_page(select(CustomerRow), sort, CustomerRow.id, Page(limit, after))
            rows = (await session.scalars(query)).all()
        found += [(row.description or "", row.id) for row in rows[:limit]]
        if len(rows) <= limit:
            return found
        after = sort.key(getattr(rows[limit - 1], sort.column.key), rows[limit - 1].id)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_pages_of_equal_values_are_whole(database: Database, limit: int, descending: bool) -> None:
    await saved(database, *(customer(description=name) for name in NAMES))
    column = CustomerRow.description
    found = await walk(database, Sort(column, descending), limit)
    assert sorted(name for name, _ in found) == sorted(NAMES)
    assert len(set(found)) == len(NAMES)
    assert found == await walk(database, Sort(column, descending), 50)
    assert found == list(reversed(await walk(database, Sort(column, not descending), limit)))


async def test_times_are_sorted(database: Database) -> None:
    await saved(database, *(customer(description=str(day), created_at=NOW.replace(day=day)) for day in (3, 1, 2)))
    found = await walk(database, Sort(CustomerRow.created_at), 1)
    assert [day for day, _ in found] == ["1", "2", "3"]


@pytest.mark.parametrize(
    "after", ["", "cust_1", "[]", "[1]", '[1, "x"]', '["x", 2]', '[null, "x"]', '{"a": 1, "b": 2}']
)
def test_a_made_up_key_is_refused(after: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        sorted_page(select(CustomerRow), Sort(CustomerRow.name), CustomerRow.id, Page(1, after))
    assert caught.value.code == "invalid_cursor"


@pytest.mark.parametrize("after", ['["yesterday", "x"]', '[5, "x"]', '["0001-01-01T00:00:00+14:00", "x"]'])
def test_a_made_up_time_is_refused(after: str) -> None:
    with pytest.raises(MalformedBody):
        sorted_page(select(CustomerRow), Sort(CustomerRow.created_at), CustomerRow.id, Page(1, after))
