from datetime import timedelta
from typing import Any

import pytest

from runtime.clock import utcnow
from store.engine import Database
from store.monitors import Conditions, MonitorFilter, Monitors
from store.paging import Page
from store.tables import MonitorRow
from tests.factories import NOW, event_endpoint, monitor, saved

PAGE = Page(100)


async def found(database: Database, **wanted: Any) -> set[str]:
    async with database.snapshot() as session:
        return {row.name for row in await Monitors(session).list(MonitorFilter(**wanted), PAGE)}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, {"All", "Acme", "Sync", "Orders"}),
        ({"q": "R"}, {"Orders"}),
        ({"q": "%"}, set()),
        ({"names": ["All", "Acme"]}, {"All", "Acme"}),
        ({"customer_ids": ["cust_1"]}, {"Acme"}),
        ({"integration_ids": ["intg_1", "intg_2"]}, {"Sync"}),
        ({"instance_ids": ["inst_1"]}, {"Orders"}),
        ({"flow_ids": ["flow_1"]}, {"Orders"}),
        ({"triggered": True}, {"Acme"}),
        ({"triggered": False}, {"All", "Sync", "Orders"}),
        ({"enabled": False}, {"Sync"}),
        ({"enabled": True, "q": "a"}, {"All", "Acme"}),
    ],
)
async def test_monitors_are_found(database: Database, wanted: dict[str, Any], names: set[str]) -> None:
    await saved(
        database,
        monitor(name="All"),
        monitor(name="Acme", customer_id="cust_1", triggered_at=NOW),
        monitor(name="Sync", integration_id="intg_1", enabled=False),
        monitor(name="Orders", instance_id="inst_1", flow_id="flow_1"),
    )
    assert await found(database, **wanted) == names


async def test_monitors_around_a_place_are_those_that_may_be_concerned(database: Database) -> None:
    rows = {
        "anywhere": monitor(),
        "customer": monitor(customer_id="cust_1"),
        "integration": monitor(integration_id="intg_1"),
        "flow": monitor(instance_id="inst_1", flow_id="flow_9"),
        "disabled": monitor(enabled=False),
        "elsewhere": monitor(instance_id="inst_2"),
    }
    await saved(database, *rows.values())
    async with database.snapshot() as session:
        around = await Monitors(session).around(["inst_1"], ["cust_1"], ["intg_1"])
        nowhere = await Monitors(session).around([], [], [])
    assert [row.id for row in around] == [rows[name].id for name in ("anywhere", "customer", "integration", "flow")]
    assert [row.id for row in nowhere] == [rows["anywhere"].id]


async def test_state_moves_with_every_change(database: Database) -> None:
    async def state() -> tuple[Any, ...]:
        async with database.snapshot() as session:
            return await Monitors(session).state()

    states = [await state()]
    row = monitor()
    await saved(database, row)
    states.append(await state())
    await saved(database, event_endpoint())
    states.append(await state())
    async with database.transaction() as session:
        (await session.get_one(MonitorRow, row.id)).updated_at = utcnow()
    states.append(await state())
    async with database.transaction() as session:
        await Monitors(session).delete([row.id])
    states.append(await state())
    assert len(set(states)) == len(states)
    assert await state() == states[-1]


async def test_condition_is_claimed_once_and_again_after_its_release(database: Database) -> None:
    row = monitor()
    await saved(database, row)
    condition = (row.id, "queue_backlog", "flow_1")
    claims = []
    for release in (False, False, True, False):
        async with database.transaction() as session:
            if release:
                await Conditions(session).release([condition])
            claims.append(await Conditions(session).claim(condition, NOW))
    assert claims == [True, False, True, False]
    async with database.snapshot() as session:
        assert await Conditions(session).of_type("queue_backlog") == {condition: NOW}
        assert await Conditions(session).held("queue_backlog", ["flow_1", "flow_2"]) == {condition}
        assert await Conditions(session).held("queue_backlog", ["flow_2"]) == set()
        assert await Conditions(session).of_type("execution_slow") == {}


async def test_first_firing_is_kept_until_it_is_cleared(database: Database) -> None:
    row = monitor()
    await saved(database, row)
    later = NOW + timedelta(hours=1)
    for alert_id, at in (("alert_1", NOW), ("alert_2", later)):
        async with database.transaction() as session:
            await Monitors(session).trigger({row.id: alert_id}, at)
    async with database.snapshot() as session:
        held = await session.get_one(MonitorRow, row.id)
    assert (held.triggered_at, held.last_alert_id) == (NOW, "alert_2")
