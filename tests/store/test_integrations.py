import pytest

from store.engine import Database
from store.integrations import IntegrationFilter, Integrations, LatestVersion
from store.paging import Page
from tests.factories import deployed, instance, integration, save, saved, version

ALL = Page(limit=100)


async def test_integration_found_by_key(database: Database) -> None:
    row = integration(key="orders")
    await saved(database, row)
    async with database.transaction() as session:
        integrations = Integrations(session)
        assert await integrations.by_key("orders", for_update=True) is await integrations.get(row.id, for_update=True)
        assert await integrations.by_key("Orders") is None


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (IntegrationFilter(), ["two", "one"]),
        (IntegrationFilter(q="FIRST"), ["one"]),
        (IntegrationFilter(q="tw"), ["two"]),
        (IntegrationFilter(categories=["erp", "crm"]), ["two", "one"]),
        (IntegrationFilter(categories=["ERP"]), []),
        (IntegrationFilter(labels=["x"], categories=["erp"]), ["one"]),
    ],
)
async def test_integrations_filtered(database: Database, wanted: IntegrationFilter, keys: list[str]) -> None:
    await saved(
        database,
        integration(key="one", name="The first", category="erp", labels=["x"]),
        integration(key="two", name="The second", category="crm", labels=["x", "y"]),
    )
    async with database.snapshot() as session:
        assert [row.key for row in await Integrations(session).list(wanted, ALL)] == keys


async def test_latest_version_is_the_newest_available(database: Database) -> None:
    offered, bare = integration(), integration()
    first, second, third = version(offered, 1), version(offered, 2), version(offered, 3, available=False)
    await saved(database, offered, bare, first, second, third)
    async with database.snapshot() as session:
        integrations = Integrations(session)
        latest = await integrations.latest_available(offered.id)
        assert latest is not None
        assert latest.id == second.id
        assert await integrations.latest_available(bare.id) is None
        assert await integrations.latest_versions([offered.id, bare.id]) == {offered.id: LatestVersion(second.id, 2)}


async def test_versions_found_by_id_and_number(database: Database) -> None:
    offered = integration()
    first, second = version(offered, 1), version(offered, 2)
    await saved(database, offered, first, second)
    async with database.snapshot() as session:
        integrations = Integrations(session)
        assert await integrations.version(second.id) is await integrations.version_by_number(offered.id, 2)
        assert await integrations.version_by_number(offered.id, 3) is None
        assert [row.number for row in await integrations.versions(offered.id, ALL)] == [2, 1]


async def test_instances_counted_without_the_deleting(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        await save(
            session,
            instance(made.customer, made.version),
            instance(made.customer, made.version, deleting=True),
            bare := integration(),
        )
        integrations = Integrations(session)
        assert await integrations.instance_counts([made.integration.id, bare.id]) == {
            made.integration.id: 2,
            bare.id: 0,
        }
        assert await integrations.version_instance_counts([made.version.id]) == {made.version.id: 2}
        assert await integrations.version_instance_counts([]) == {}
