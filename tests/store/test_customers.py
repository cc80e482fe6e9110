import pytest

from store.customers import CustomerFilter, Customers
from store.engine import Database
from store.paging import Page
from store.tables import CustomerRow
from tests.factories import customer, deployed, saved

ALL = Page(limit=100)


async def test_customer_found_by_its_names(database: Database) -> None:
    row = customer(name="Acme", external_id="ext-1")
    await saved(database, row, customer())
    async with database.snapshot() as session:
        customers = Customers(session)
        found = [
            await customers.get(row.id),
            await customers.by_name("Acme"),
            await customers.by_external_id("ext-1"),
        ]
        assert [each and each.id for each in found] == [row.id] * 3
        assert await customers.get("cust_absent") is None
        assert await customers.by_name("acme") is None


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (CustomerFilter(), ["Beta", "Acme"]),
        (CustomerFilter(q="acm"), ["Acme"]),
        (CustomerFilter(q="EXT-2"), ["Beta"]),
        (CustomerFilter(external_ids=["ext-1", "ext-2"]), ["Beta", "Acme"]),
        (CustomerFilter(external_ids=["ext"]), []),
        (CustomerFilter(labels=["eu", "gold"]), ["Acme"]),
        (CustomerFilter(labels=["eu"], q="beta"), ["Beta"]),
    ],
)
async def test_customers_filtered(database: Database, wanted: CustomerFilter, names: list[str]) -> None:
    await saved(
        database,
        customer(name="Acme", external_id="ext-1", labels=["eu", "gold"]),
        customer(name="Beta", external_id="ext-2", labels=["eu"]),
    )
    async with database.snapshot() as session:
        assert [row.name for row in await Customers(session).list(wanted, ALL)] == names


async def test_customers_paged_newest_first(database: Database) -> None:
    rows = [customer() for _ in range(5)]
    await saved(database, *rows)
    newest_first = [row.id for row in reversed(rows)]
    async with database.snapshot() as session:
        customers = Customers(session)
        first = [row.id for row in await customers.list(CustomerFilter(), Page(limit=2))]
        rest = [row.id for row in await customers.list(CustomerFilter(), Page(limit=10, after=first[1]))]
    assert first == newest_first[:3]  # one more than asked
    assert rest == newest_first[2:]


async def test_instances_of_a_customer(database: Database) -> None:
    async with database.transaction() as session:
        ours, _ = await deployed(session), await deployed(session)
        assert await Customers(session).instance_ids(ours.customer.id, 5) == [ours.instance.id]


async def test_customer_deleted_once(database: Database) -> None:
    row = customer()
    await saved(database, row)
    async with database.transaction() as session:
        assert await Customers(session).delete(row.id)
        assert not await Customers(session).delete(row.id)
    async with database.snapshot() as session:
        assert await session.get(CustomerRow, row.id) is None
