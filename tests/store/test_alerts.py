from datetime import timedelta
from typing import Any

import pytest

from store.alerts import AlertFilter, Alerts, Subjects
from store.engine import Database
from store.paging import Page
from tests.factories import NOW, alert, deployed, execution, monitor, saved

LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, {"one", "two", "three"}),
        ({"q": "STOCK"}, {"two"}),
        ({"q": "night"}, {"three"}),
        ({"q": "_"}, set()),
        ({"customer_ids": ["cust_1"]}, {"one"}),
        ({"integration_ids": ["intg_1"]}, {"one"}),
        ({"instance_ids": ["inst_1", "inst_2"]}, {"one", "two"}),
        ({"flow_ids": ["flow_1"]}, {"one"}),
        ({"execution_ids": ["exec_2"]}, {"two"}),
        ({"suppressed": True}, {"two"}),
        ({"suppressed": False, "before": LATER}, {"one"}),
        ({"after": LATER}, {"three"}),
    ],
)
async def test_alerts_are_found(database: Database, wanted: dict[str, Any], found: set[str]) -> None:
    by_day, by_night = monitor(name="By day"), monitor(name="By night")
    place = {"customer_id": "cust_1", "integration_id": "intg_1", "instance_id": "inst_1", "flow_id": "flow_1"}
    rows = {
        "one": alert(by_day, **place),
        "two": alert(by_day, message="Out of stock", suppressed=True, instance_id="inst_2", execution_id="exec_2"),
        "three": alert(by_night, at=LATER),
    }
    await saved(database, by_day, by_night, *rows.values())
    async with database.snapshot() as session:
        listed = await Alerts(session).list(AlertFilter(**wanted), Page(100))
        of_day = await Alerts(session).list(AlertFilter(monitor_ids=[by_day.id]), Page(100))
    assert {row.id for row in listed} == {rows[name].id for name in found}
    assert [row.id for row in of_day] == [rows["two"].id, rows["one"].id]


async def test_subjects_have_their_names(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
    async with database.snapshot() as session:
        subjects = Subjects(session)
        names = await subjects.instances([made.instance.id, "inst_gone"])
        assert await subjects.customers([made.customer.id]) == {made.customer.id: names[made.instance.id]["customer"]}
        assert await subjects.integrations([made.integration.id]) == {
            made.integration.id: names[made.instance.id]["integration"]
        }
        assert (await subjects.flows([made.flow.id]))[made.flow.id]["key"] == "hello"
    assert list(names) == [made.instance.id]
    assert names[made.instance.id]["instance"] == {"id": made.instance.id, "name": made.instance.name}


async def test_tests_are_told_apart(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
    real, test = execution(made.instance, made.flow), execution(made.instance, made.flow, is_test=True)
    await saved(database, real, test)
    async with database.snapshot() as session:
        assert await Subjects(session).tests([real.id, test.id]) == {test.id}
