"""Alerts and events on the way to those who want them, whatever is killed: nothing lost, nothing doubled by its id."""

import asyncio
import json
import logging
from time import perf_counter
from typing import Any

import pytest

from domain.definitions.model import Hmac
from domain.signatures import Signed, verify
from runtime.clock import utcnow
from tests.e2e.client import Client, Json, Provision, fresh
from tests.e2e.definitions import call
from tests.e2e.target import Answer, Call, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

KNOWN = 2.5  # seconds, until every process has heard of a new monitor
FAILED: Json = {"type": "execution_failed"}
SLEEPER = """\
schema: flowgraft/v1
key: KEY
name: Sleeper KEY
flows: [{key: nap, trigger: {type: webhook}, steps: [{key: nap, sleep: 10m}]}]
"""
measured = logging.getLogger("measured")  # shown with --log-cli-level=INFO


async def monitor(client: Client, spot: Spot, made: Provision, trigger: Json = FAILED) -> Json:
    """Of one instance, with a webhook at the spot; known to every process."""
    body = {"name": fresh("monitor"), "instance_id": made.id, "triggers": [trigger]}
    body |= {"notify": [{"webhook": f"{spot.url}/alert"}]}
    found: Json = await client.call("POST", "/v1/monitors", expect=201, json=body)
    await asyncio.sleep(KNOWN)
    return found


async def endpoint(client: Client, spot: Spot, *events: str) -> Json:
    body = {"name": fresh("endpoint"), "url": f"{spot.url}/event", "events": list(events)}
    found: Json = await client.call("POST", "/v1/event_endpoints", expect=201, json=body)
    await asyncio.sleep(KNOWN)
    return found


async def drop(client: Client, endpoint: Json) -> None:
    """So that it does not hear of what other tests do."""
    await client.call("DELETE", f"/v1/event_endpoints/{endpoint['id']}", expect=204)


async def arrived(client: Client, alert_id: str, timeout: float = 30) -> Json:
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        alert: Json = await client.call("GET", f"/v1/alerts/{alert_id}")
        if alert["deliveries"] and all(each["state"] == "succeeded" for each in alert["deliveries"]):
            return alert
        assert asyncio.get_running_loop().time() < deadline, alert
        await asyncio.sleep(0.1)


async def only_alert(client: Client, monitor: Json) -> str:
    [alert] = await client.all_of("/v1/alerts", monitor_id=monitor["id"])
    return str(alert["id"])


def ids(calls: list[Call]) -> set[str]:
    """What a receiver that honours `webhook-id` keeps."""
    return {call.headers["webhook-id"] for call in calls}


def ensure_signed(call: Call, secret: str) -> None:
    rule = Hmac(scheme="standard_webhooks", secret="{{ config.x }}")
    verify(rule, [secret], Signed(list(call.headers.items()), call.body), utcnow())


async def fail(client: Client, made: Provision) -> str:
    execution_id = await client.delivered(made.url("call"), json={"id": 1})
    await client.wait_for(execution_id, "failed")
    return execution_id


async def test_failed_execution_alarms_a_signed_webhook(client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(404))
    made = await client.provision(call(), endpoint=spot.url)
    watching = await monitor(client, spot, made)
    execution_id = await fail(client, made)
    began = perf_counter()
    await spot.until_called("/alert")
    measured.info("an alert %.2f s after the failure", perf_counter() - began)
    assert perf_counter() - began < 10
    [alarm] = spot.called("/alert")
    ensure_signed(alarm, watching["notify"][0]["secret"])
    body = json.loads(alarm.body)
    assert (body["type"], body["data"]["execution_id"], body["data"]["step"]) == (
        "monitor.triggered",
        execution_id,
        "post",
    )
    alert = await arrived(client, body["data"]["alert_id"])
    assert alert["deliveries"][0]["id"] == alarm.headers["webhook-id"]
    assert (await client.call("GET", f"/v1/monitors/{watching['id']}"))["triggered"] is True


async def test_worker_killed_while_it_sends_an_alert_sends_it_again_under_its_id(
    stack: Stack, client: Client, spot: Spot
) -> None:
    spot.script("/post", Answer(404))
    spot.hold("/alert")
    made = await client.provision(call(), endpoint=spot.url)
    watching = await monitor(client, spot, made)
    await fail(client, made)
    await spot.until_called("/alert")
    stack.kill_workers()
    spot.release()
    await asyncio.sleep(0.5)
    stack.start_workers()
    began = perf_counter()
    alert = await arrived(client, await only_alert(client, watching))
    measured.info("worker killed while it sent an alert: arrived %.1f s after its restart", perf_counter() - began)
    assert [each["number"] for each in alert["deliveries"][0]["attempts"]] == [1]
    assert ids(spot.called("/alert")) == {alert["deliveries"][0]["id"]}


async def test_alert_that_waits_for_its_next_attempt_survives_a_kill_of_everything(
    stack: Stack, client: Client, spot: Spot
) -> None:
    spot.script("/post", Answer(404))
    spot.script("/alert", Answer(503), Answer(200))
    made = await client.provision(call(), endpoint=spot.url)
    watching = await monitor(client, spot, made)
    await fail(client, made)
    await spot.until_called("/alert")
    await asyncio.sleep(1)  # until the attempt is recorded
    stack.kill_workers()
    stack.temporal.kill()
    stack.kill_apis()
    await stack.heal()
    alert = await arrived(client, await only_alert(client, watching), timeout=60)
    assert [each["status_code"] for each in alert["deliveries"][0]["attempts"]] == [503, 200]
    assert ids(spot.called("/alert")) == {alert["deliveries"][0]["id"]}
    assert len(spot.called("/alert")) == 2


async def test_events_are_kept_while_temporal_and_the_workers_are_away(
    stack: Stack, client: Client, spot: Spot
) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    hearing = await endpoint(client, spot, "instance.paused", "instance.unpaused")
    stack.kill_workers()
    stack.temporal.kill()
    for _ in range(3):
        await client.call("POST", f"/v1/instances/{made.id}/pause")
        await client.call("POST", f"/v1/instances/{made.id}/unpause")
    stack.kill_apis()
    await stack.heal()
    began = perf_counter()
    await spot.until_called("/event", times=6, timeout=40)
    measured.info("Temporal is back: six events after %.1f s", perf_counter() - began)
    await asyncio.sleep(6)  # another sweep
    calls = spot.called("/event")
    assert len(calls) == len(ids(calls)) == 6
    for each in calls:
        ensure_signed(each, hearing["secret"])
        assert json.loads(each.body)["data"]["object_id"] == made.id
    sent = await client.all_of(f"/v1/event_endpoints/{hearing['id']}/deliveries", state="succeeded")
    assert {each["id"] for each in sent} == ids(calls)
    await drop(client, hearing)


async def test_slow_execution_alarms_although_nobody_works_on_its_flow(
    stack: Stack, client: Client, spot: Spot
) -> None:
    made = await client.provision(SLEEPER)
    watching = await monitor(client, spot, made, {"type": "execution_slow", "seconds": 2})
    execution_id = await client.delivered(made.url("nap"))
    await client.wait_for(execution_id, "running")
    stack.kill_workers()
    async with stack.second_worker("--watch-only"):
        began = perf_counter()
        await spot.until_called("/alert", timeout=40)
        measured.info("slow, without a worker of the flow: told after %.1f s", perf_counter() - began)
        assert (await client.execution(execution_id))["status"] == "running"
        alert = await client.call("GET", f"/v1/alerts/{await only_alert(client, watching)}")
        assert (alert["execution_id"], alert["trigger"]["type"], alert["trigger"]["seconds"]) == (
            execution_id,
            "execution_slow",
            2,
        )
    stack.start_workers()
    await client.call("POST", f"/v1/executions/{execution_id}/cancel", expect=202)
    await client.wait_for(execution_id, "canceled")
    await asyncio.sleep(6)  # its end is told, too: another sweep
    assert len(spot.called("/alert")) == 1


async def test_target_that_is_gone_is_not_called_again(client: Client, spot: Spot) -> None:
    spot.script("/event", Answer(410))
    made = await client.provision(call(), endpoint=spot.url)
    hearing = await endpoint(client, spot, "instance.paused")
    await client.call("POST", f"/v1/instances/{made.id}/pause")
    await spot.until_called("/event")
    assert (await until_disabled(client, hearing["id"]))["disabled_reason"] == "gone"
    await client.call("POST", f"/v1/instances/{made.id}/unpause")
    await client.call("POST", f"/v1/instances/{made.id}/pause")
    await asyncio.sleep(3)
    assert len(spot.called("/event")) == 1
    [failed] = await client.all_of(f"/v1/event_endpoints/{hearing['id']}/deliveries")
    assert (failed["state"], failed["status_code"]) == ("failed", 410)
    await drop(client, hearing)


async def until_disabled(client: Client, endpoint_id: str) -> Json:
    async with asyncio.timeout(15):
        while True:
            shown: Json = await client.call("GET", f"/v1/event_endpoints/{endpoint_id}")
            if not shown["enabled"]:
                return shown
            await asyncio.sleep(0.1)


async def test_removed_instance_is_told_of_and_takes_its_monitor_along(client: Client, spot: Spot) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    watching = await monitor(client, spot, made, {"type": "instance_removed"})
    query: dict[str, Any] = {"confirm_name": made.instance["name"]}
    deleted = await client.call("DELETE", f"/v1/instances/{made.id}", expect=202, params=query)
    assert (await client.wait_for_job(deleted["job_id"]))["state"] == "succeeded"
    await spot.until_called("/alert")
    data = json.loads(spot.called("/alert")[0].body)["data"]
    assert (data["instance"]["name"], data["customer"]["name"]) == (made.instance["name"], made.customer["name"])
    async with asyncio.timeout(150):
        while (await client.http.get(f"/v1/monitors/{watching['id']}")).status_code != 404:
            await asyncio.sleep(1)
    assert (await client.call("GET", f"/v1/alerts/{data['alert_id']}"))["instance"]["name"] == made.instance["name"]
