from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from store.engine import Database
from store.instances import InstanceFilter, Instances
from store.paging import Page
from tests.factories import (
    NOW,
    Deployed,
    customer,
    deployed,
    instance,
    instance_flow,
    integration,
    save,
    saved,
    version,
)

ALL = Page(limit=100)


@contextmanager
def counted_queries(session: AsyncSession) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


async def test_view_gathers_what_stands_elsewhere(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        await save(session, newer := version(made.integration, 2), version(made.integration, 3, available=False))
        view = await Instances(session).view(made.instance.id)
        assert view is not None
        assert view.row is made.instance
        assert (view.customer_name, view.integration_name) == (made.customer.name, made.integration.name)
        assert (view.version_number, view.deployed_version) == (1, 1)
        assert (view.latest_version_id, view.latest_version_number) == (newer.id, 2)
        assert view.failed is False
        assert await Instances(session).view("inst_absent") is None


async def test_view_of_a_bare_instance(database: Database) -> None:
    owner, offered = customer(), integration()
    chosen = version(offered, available=False)
    row = instance(owner, chosen)
    await saved(database, owner, offered, chosen, row)
    async with database.snapshot() as session:
        view = await Instances(session).view(row.id)
    assert view is not None
    assert (view.latest_version_id, view.latest_version_number, view.deployed_version) == (None, None, None)


async def test_view_failed_by_active_flows_only(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        await save(session, instance_flow(made.instance, "old", active=False, failed=True))
        view = await Instances(session).view(made.instance.id)
        assert view is not None
        assert view.failed is False
        await save(session, instance_flow(made.instance, "new", failed=True))
        view = await Instances(session).view(made.instance.id)
        assert view is not None
        assert view.failed is True


async def test_list_takes_two_queries_for_any_number(database: Database) -> None:
    async with database.transaction() as session:
        made = [await deployed(session) for _ in range(4)]
    async with database.snapshot() as session:
        with counted_queries(session) as statements:
            views = await Instances(session).list(InstanceFilter(), Page(limit=2))
    assert [view.row.id for view in views] == [each.instance.id for each in reversed(made)][:3]
    assert len([statement for statement in statements if "SELECT" in statement]) == 2


async def two_unlike(session: AsyncSession) -> tuple[Deployed, Deployed]:
    plain = await deployed(session, name="Plain", labels=["eu"], description="For everyone")
    odd = await deployed(session, name="Odd one", labels=["eu", "vip"], enabled=False, deleting=True)
    odd.instance.configured, odd.instance.needs_deploy, odd.flow.failed = False, True, True
    await session.flush()
    return plain, odd


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (InstanceFilter(), ["Odd one", "Plain"]),
        (InstanceFilter(q="odd"), ["Odd one"]),
        (InstanceFilter(description="EVERY"), ["Plain"]),
        (InstanceFilter(labels=["eu"]), ["Odd one", "Plain"]),
        (InstanceFilter(labels=["eu", "vip"]), ["Odd one"]),
        (InstanceFilter(enabled=True), ["Plain"]),
        (InstanceFilter(enabled=False), ["Odd one"]),
        (InstanceFilter(configured=True), ["Plain"]),
        (InstanceFilter(needs_deploy=True), ["Odd one"]),
        (InstanceFilter(failed=True), ["Odd one"]),
        (InstanceFilter(failed=False), ["Plain"]),
        (InstanceFilter(deleting=False), ["Plain"]),
        (InstanceFilter(enabled=True, failed=True), []),
    ],
)
async def test_instances_filtered(database: Database, wanted: InstanceFilter, names: list[str]) -> None:
    async with database.transaction() as session:
        await two_unlike(session)
        assert [view.row.name for view in await Instances(session).list(wanted, ALL)] == names


async def test_instances_filtered_by_what_they_belong_to(database: Database) -> None:
    async with database.transaction() as session:
        plain, odd = await two_unlike(session)
        for wanted in (
            InstanceFilter(customer_ids=[plain.customer.id]),
            InstanceFilter(integration_ids=[plain.integration.id]),
            InstanceFilter(version_ids=[plain.version.id]),
        ):
            assert [view.row.id for view in await Instances(session).list(wanted, ALL)] == [plain.instance.id]
        both = InstanceFilter(customer_ids=[plain.customer.id, odd.customer.id])
        assert len(await Instances(session).list(both, ALL)) == 2


async def test_config_values_set_replaced_and_removed(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        instances = Instances(session)
        await instances.put_config_value(made.instance.id, "region", value={"value": "eu"}, at=NOW)
        await instances.put_config_value(made.instance.id, "region", value={"value": None}, at=NOW)
        await instances.put_config_value(made.instance.id, "shop", secret=b"\x00\x01", at=NOW)
        values = await instances.config_values(made.instance.id)
        assert {key: (row.value, row.secret) for key, row in values.items()} == {
            "region": ({"value": None}, None),
            "shop": (None, b"\x00\x01"),
        }
        assert await instances.delete_config_value(made.instance.id, "region")
        assert not await instances.delete_config_value(made.instance.id, "region")
        assert set(await instances.config_values(made.instance.id)) == {"shop"}


async def test_config_value_replaced_after_it_was_read(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        instances = Instances(session)
        await instances.put_config_value(made.instance.id, "region", value={"value": "eu"}, at=NOW)
        held = await instances.config_values(made.instance.id)
        await instances.put_config_value(made.instance.id, "region", value={"value": "us"}, at=NOW)
        assert await instances.config_values(made.instance.id) == held
        assert held["region"].value == {"value": "us"}


async def test_deployment_found(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        assert await Instances(session).deployment(made.deployment.id) is made.deployment
        assert await Instances(session).get(made.instance.id, for_update=True) is made.instance


async def test_instances_are_counted_by_state(database: Database) -> None:
    async with database.transaction() as session:
        assert set((await Instances(session).count_by_state()).values()) == {0}
        for enabled, deleting in ((True, False), (True, False), (False, False), (False, True)):
            await deployed(session, enabled=enabled, deleting=deleting)
        (await deployed(session)).instance.deployment_id = None
        await session.flush()
        counts = await Instances(session).count_by_state()
    assert counts == {"enabled": 2, "paused": 1, "deleting": 1, "not_deployed": 1, "suspended": 0}
