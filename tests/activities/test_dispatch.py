"""From facts to alerts and messages."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from activities.connection_secrets import note_error
from activities.outbox import announce
from domain.executions import Status
from domain.messages import Failure
from domain.monitors import LINES, Place
from runtime.clock import utcnow
from store.tables import (
    ConditionRow,
    ConnectionUseRow,
    MaintenanceWindowRow,
    MonitorRow,
    OutboxRow,
    TargetRow,
)
from tests.activities.kit import PUBLIC_URL, Kit, close_input, definition
from tests.activities.watchtower import Tower, shared_connection
from tests.factories import NOW, STAMPS, Deployed, alert_group, an_id, saved, target

FAILURE = Failure("http_status", "POST answered 500", "tell")


@pytest.fixture
def tower(kit: Kit) -> Tower:
    return Tower(kit)


def place(made: Deployed) -> Place:
    return Place(made.customer.id, None, made.instance.id, made.flow.id)


async def tell(tower: Tower, kind: str, where: Place, **given: Any) -> None:
    async with tower.kit.database.transaction() as session:
        announce(session, kind, where, **given)
    await tower.dispatcher.dispatch()


async def failed(tower: Tower, made: Deployed, **given: Any) -> str:
    """An execution that has failed, and that everybody has been told of."""
    row = await tower.kit.accepted(made, **given)
    await tower.kit.environment.run(tower.kit.executions.close_execution, close_input(row, "failed", failure=FAILURE))
    await tower.dispatcher.dispatch()
    return row.id


async def test_failure_raises_an_alert_with_a_message_for_each_target(tower: Tower) -> None:
    monitor = await tower.monitor(targets=2, name="Orders fail")
    made = await tower.kit.made(definition({}))
    execution_id = await failed(tower, made)
    [alert] = await tower.alerts()
    assert (alert.monitor_id, alert.monitor_name, alert.trigger) == (
        monitor.id,
        "Orders fail",
        {"type": "execution_failed"},
    )
    assert (alert.customer_id, alert.integration_id, alert.instance_id, alert.flow_id, alert.execution_id) == (
        made.customer.id,
        made.integration.id,
        made.instance.id,
        made.flow.id,
        execution_id,
    )
    assert (alert.step, alert.suppressed, alert.is_test) == ("tell", False, False)
    assert alert.error == {"code": "http_status", "message": "POST answered 500", "step": "tell"}
    assert alert.message.startswith(f"{made.instance.name} · ")
    sent = await tower.sent()
    assert [(each.alert_id, each.state, each.customer_id) for each in sent] == [
        (alert.id, "pending", made.customer.id)
    ] * 2
    data = json.loads(sent[0].body)
    assert data["type"] == "monitor.triggered"
    assert data["data"]["url"] == f"{PUBLIC_URL}/v1/executions/{execution_id}"
    held = await tower.one(MonitorRow, monitor.id)
    assert (held.last_alert_id, held.triggered_at is not None) == (alert.id, True)
    assert (held.revision, held.updated_at) == (monitor.revision, monitor.updated_at)
    assert await tower.facts() == []


async def test_every_firing_raises_an_alert_and_the_first_one_counts(tower: Tower) -> None:
    monitor = await tower.monitor()
    made = await tower.kit.made(definition({}))
    await failed(tower, made)
    first = (await tower.one(MonitorRow, monitor.id)).triggered_at
    await failed(tower, made)
    assert len(await tower.alerts()) == len(await tower.sent()) == 2
    held = await tower.one(MonitorRow, monitor.id)
    assert (held.triggered_at, held.last_alert_id) == (first, (await tower.alerts())[1].id)


async def test_only_monitors_that_watch_there_are_told(tower: Tower) -> None:
    made, other = await tower.kit.made(definition({})), await tower.kit.made(definition({}))
    scopes: list[dict[str, Any]] = [
        {},
        {"customer_id": made.customer.id},
        {"integration_id": made.integration.id},
        {"instance_id": made.instance.id},
        {"instance_id": made.instance.id, "flow_id": made.flow.id},
    ]
    wanted = {(await tower.monitor(**scope)).id for scope in scopes}
    for scope in (
        {"customer_id": other.customer.id},
        {"integration_id": other.integration.id},
        {"instance_id": made.instance.id, "flow_id": other.flow.id},
        {"enabled": False},
        {"armed_at": utcnow() + timedelta(hours=1)},
    ):
        await tower.monitor(**scope)
    await failed(tower, made)
    assert {alert.monitor_id for alert in await tower.alerts()} == wanted


async def test_tests_alarm_nobody(tower: Tower) -> None:
    await tower.monitor()
    await tower.endpoint()
    await failed(tower, await tower.kit.made(definition({})), is_test=True)
    assert (await tower.alerts(), await tower.sent(), await tower.facts()) == ([], [], [])


async def test_execution_that_was_slow_is_told_of_at_its_end(tower: Tower) -> None:
    await tower.monitor({"type": "execution_slow", "seconds": 60})
    made = await tower.kit.made(definition({}))
    for seconds in (30, 90):
        await failed(tower, made, started_at=utcnow() - timedelta(seconds=seconds))
    [alert] = await tower.alerts()
    assert "has taken 90 s, limit 60 s" in alert.message
    [condition] = await tower.rows(ConditionRow)
    assert condition.subject_id == alert.execution_id


async def test_slow_execution_that_was_found_while_it_ran_is_not_told_again(tower: Tower) -> None:
    await tower.monitor({"type": "execution_slow", "seconds": 60})
    made = await tower.kit.made(definition({}))
    began = {"status": Status.RUNNING, "started_at": utcnow() - timedelta(seconds=90)}
    row = await tower.kit.accepted(made, **began)
    assert await tower.look() == 1
    await tower.kit.environment.run(tower.kit.executions.close_execution, close_input(row, "succeeded"))
    await tower.dispatcher.dispatch()
    assert len(await tower.alerts()) == 1
    assert await tower.facts() == []


async def test_log_line_fires_from_its_severity_on(tower: Tower) -> None:
    warn = await tower.monitor({"type": "log_severity", "severity": "warn"})
    await tower.monitor({"type": "log_severity", "severity": "fatal"})
    made = await tower.kit.made(definition({}))
    told = {"severity": "error", "message": "Out of stock", "step": "say"}
    await tell(tower, LINES, place(made), details=told)
    [alert] = await tower.alerts()
    assert (alert.monitor_id, alert.step) == (warn.id, "say")
    assert alert.message.endswith("error: Out of stock")


async def test_shared_connection_concerns_the_instances_that_use_it(tower: Tower) -> None:
    made, other = await tower.kit.made(definition({})), await tower.kit.made(definition({}))
    trigger = {"type": "connection_error"}
    anywhere = await tower.monitor(trigger)
    here = await tower.monitor(trigger, instance_id=made.instance.id, flow_id=made.flow.id)
    await tower.monitor(trigger, instance_id=other.instance.id)
    row = shared_connection()
    uses = [
        ConnectionUseRow(instance_id=made.instance.id, key="shop", source=source, connection_id=row.id)
        for source in ("config", "deployment")
    ]
    await saved(tower.kit.database, row, *uses)
    async with tower.kit.database.transaction() as session:
        note_error(session, row, "The service refuses the token with 401")
    await tower.dispatcher.dispatch()
    alerts = {alert.monitor_id: alert for alert in await tower.alerts()}
    assert set(alerts) == {anywhere.id, here.id}
    assert (alerts[anywhere.id].instance_id, alerts[here.id].instance_id) == (None, made.instance.id)
    assert alerts[here.id].connection_id == row.id
    assert alerts[here.id].message == (
        f"{made.instance.name}: the connection Shop API does not work: The service refuses the token with 401"
    )


async def test_group_is_told_and_nobody_twice(tower: Tower) -> None:
    monitor = await tower.monitor(targets=0)
    group = alert_group()
    await saved(
        tower.kit.database,
        group,
        target(monitor, kind="group", address=group.id),
        target(monitor, kind="email", address="ops@example.com"),
        target(monitor, address="https://a.example.com", disabled_at=NOW, disabled_reason="gone"),
        target(group, kind="email", address="ops@example.com"),
        target(group, address="https://b.example.com"),
    )
    await failed(tower, await tower.kit.made(definition({})))
    sent = await tower.sent()
    assert sorted((each.kind, each.address) for each in sent) == [
        ("email", "ops@example.com"),
        ("webhook", "https://b.example.com"),
    ]
    [mail] = [each for each in sent if each.kind == "email"]
    assert mail.subject == "Flowgraft alert: Watchdog"
    assert mail.body.startswith("Instance inst_")


async def test_webhook_is_written_by_its_template(tower: Tower) -> None:
    monitor = await tower.monitor(targets=0, name='The "best" one')
    await saved(
        tower.kit.database, target(monitor, template='{"routing": 7, "summary": "$NAME: $ERROR", "for": "$CUSTOMER"}')
    )
    made = await tower.kit.made(definition({}))
    await failed(tower, made)
    [sent] = await tower.sent()
    assert (sent.content_type, json.loads(sent.body)) == (
        "application/json",
        {
            "routing": 7,
            "summary": 'The "best" one: http_status: POST answered 500',
            "for": made.customer.name,
        },
    )


@pytest.mark.parametrize("whose", ["monitor", "everybody", "customer", "instance", "another customer", "over"])
async def test_maintenance_records_and_does_not_send(tower: Tower, whose: str) -> None:
    made = await tower.kit.made(definition({}))
    now = utcnow()
    window = {"starts_at": now - timedelta(hours=1), "ends_at": now + timedelta(hours=1)}
    given: dict[str, Any] = {}
    if whose == "monitor":
        given = {"maintenance_from": window["starts_at"], "maintenance_to": window["ends_at"]}
    else:
        ids = {"customer": {"customer_id": made.customer.id}, "instance": {"instance_id": made.instance.id}}
        ids["another customer"] = {"customer_id": "cust_other"}
        window |= {"ends_at": now - timedelta(seconds=1)} if whose == "over" else {}
        row = MaintenanceWindowRow(id=an_id("mw"), principal="bootstrap", **STAMPS | window | ids.get(whose, {}))
        await saved(tower.kit.database, row)
    monitor = await tower.monitor(**given)
    await failed(tower, made)
    [alert] = await tower.alerts()
    suppressed = whose not in ("another customer", "over")
    assert alert.suppressed is suppressed
    assert len(await tower.sent()) == (0 if suppressed else 1)
    assert ((await tower.one(MonitorRow, monitor.id)).triggered_at is None) is suppressed


async def test_endpoint_is_told_of_the_events_that_it_wants(tower: Tower) -> None:
    endpoint = await tower.endpoint("instance.*")
    made = await tower.kit.made(definition({}))
    given: dict[str, Any] = {"object_id": made.instance.id, "principal": "key_1", "details": {"mode": "hold"}}
    await tell(tower, "instance.paused", Place(made.customer.id, None, made.instance.id), **given)
    await tell(tower, "execution.started", place(made))
    [sent] = await tower.sent()
    assert (sent.endpoint_id, sent.event, sent.customer_id, sent.alert_id) == (
        endpoint.id,
        "instance.paused",
        made.customer.id,
        None,
    )
    body = json.loads(sent.body)
    assert (body["type"], body["data"]["instance"], body["data"]["details"]) == (
        "instance.paused",
        {"id": made.instance.id, "name": made.instance.name},
        {"mode": "hold"},
    )


async def test_event_of_a_removed_instance_keeps_its_names(tower: Tower) -> None:
    await tower.endpoint("instance.deleted")
    names = {"instance": {"id": "inst_gone", "name": "Orders of Acme"}, "customer": {"id": "cust_gone", "name": "Acme"}}
    await tell(tower, "instance.deleted", Place("cust_gone", None, "inst_gone"), details={"names": names})
    [sent] = await tower.sent()
    data = json.loads(sent.body)["data"]
    assert (data["instance"]["name"], data["customer"]["name"], data["details"]) == ("Orders of Acme", "Acme", {})


async def test_alert_is_an_event_itself(tower: Tower) -> None:
    monitor = await tower.monitor()
    await tower.endpoint("monitor.*")
    await failed(tower, await tower.kit.made(definition({})))
    await tower.dispatcher.dispatch()
    [event] = [each for each in await tower.sent() if each.endpoint_id]
    [alert] = await tower.alerts()
    data = json.loads(event.body)["data"]
    assert (event.event, data["object_id"], data["details"]["alert_id"]) == ("monitor.triggered", monitor.id, alert.id)


async def test_fact_that_cannot_be_told_does_not_hold_up_the_others(tower: Tower) -> None:
    await tower.monitor({"type": "log_severity", "severity": "warn"}, {"type": "instance_disabled"})
    made = await tower.kit.made(definition({}))
    async with tower.kit.database.transaction() as session:
        session.add(OutboxRow(id=an_id("fact"), kind=LINES, at=utcnow(), fact={"place": {"planet": "Mars"}}, tries=0))
        announce(session, "instance.paused", Place(made.customer.id, None, made.instance.id))
    for _ in range(2):
        await tower.dispatcher.dispatch()
    [left] = await tower.facts()
    assert (left.kind, left.tries) == (LINES, 2)
    assert [alert.trigger["type"] for alert in await tower.alerts()] == ["instance_disabled"]


async def test_fact_is_told_once_however_many_dispatch(tower: Tower) -> None:
    await tower.monitor({"type": "instance_disabled"})
    async with tower.kit.database.transaction() as session:
        for _ in range(40):
            announce(session, "instance.paused", Place("cust_1", None, "inst_1"))
    taken = await asyncio.gather(*(tower.dispatcher.dispatch() for _ in range(4)))
    assert sum(taken) == len(await tower.alerts()) == 40


async def test_disabled_endpoint_is_not_told(tower: Tower) -> None:
    endpoint = await tower.endpoint()
    async with tower.kit.database.transaction() as session:
        row = await session.get_one(TargetRow, (await tower.target_of(endpoint.id)).id)
        row.disabled_at = NOW
    await tell(tower, "instance.paused", Place("cust_1", None, "inst_1"))
    assert (await tower.sent(), await tower.facts()) == ([], [])
