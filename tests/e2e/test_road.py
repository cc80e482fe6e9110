"""The first road, by REST alone: from a customer to a succeeded execution, and everything that can be seen of it."""

from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from domain.values import MASK
from tests.e2e.client import Client, Json, Provision, fresh
from tests.e2e.conftest import connected
from tests.e2e.definitions import ROAD, call
from tests.e2e.target import Answer, Spot, Target
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

TOKEN = "canary-token-of-the-shop-4711"
PIN = "canary-pin-of-the-shop-0815"
NOTE = "canary-note-of-the-payload"
ORDER = {"total": 12, "lines": [{"sku": "bolt"}, {"sku": "nut"}]}


@dataclass(frozen=True)
class Travelled:
    """The road once travelled: what was made for it, and its execution."""

    client: Client
    spot: Spot
    made: Provision
    execution: Json

    @property
    def path(self) -> str:
        return f"/v1/executions/{self.execution['id']}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def road(shared_stack: Stack, target: Target) -> Any:
    await shared_stack.heal()
    spot = target.spot()
    spot.script("/order", Answer(body=ORDER | {"echo": f"Bearer {TOKEN}"}))
    async with connected(shared_stack) as http:
        client = Client(http)
        made = await client.provision(ROAD, shop={"token": TOKEN}, endpoint=spot.url, pin=PIN)
        execution_id = await client.delivered(made.url("orders"), json={"id": "A-1", "note": NOTE})
        yield Travelled(client, spot, made, await client.wait_for(execution_id, "succeeded"))


async def test_road_from_customer_to_succeeded(client: Client, spot: Spot) -> None:
    spot.script("/order", Answer(body=ORDER))
    customer = await client.customer()
    integration = await client.integration(ROAD.replace("KEY", fresh("e2e")))
    assert (integration["latest_version"], integration["has_unpublished_changes"]) == (None, True)
    assert (await client.publish(integration["id"]))["number"] == 1
    instance = await client.instance(customer, integration, config={"endpoint": spot.url})
    assert (instance["config_state"], instance["deployed"]) == ("needs_configuration", False)
    assert instance["labels"] == ["road"]

    refused = await client.deploy(instance["id"], expect=422)
    assert refused["code"] == "config_invalid"
    assert [error["pointer"] for error in refused["errors"]] == ["#/config/shop"]
    url = (await client.flows(instance["id"]))["orders"]["webhook_url"]
    assert (await client.deliver(url, expect=409))["code"] == "instance_not_deployed"

    await client.configure(instance["id"], {"shop": {"token": TOKEN}})
    deployed = await client.deploy(instance["id"])
    assert (deployed["version"], deployed["webhook_urls"]) == (1, {"orders": url})
    shown = await client.call("GET", f"/v1/instances/{instance['id']}")
    assert (shown["config_state"], shown["deployed"], shown["needs_deploy"]) == ("configured", True, False)

    response = await client.http.post(url, json={"id": "A-1"})
    accepted = response.json()
    assert response.status_code == 202
    assert response.headers["Location"] == accepted["url"]
    assert accepted["url"].endswith(f"/v1/executions/{accepted['execution_id']}")
    assert accepted["duplicate"] is False
    execution = await client.wait_for(accepted["execution_id"], "succeeded")
    assert (execution["attempt"], execution["max_attempts"], execution["error"]) == (1, 1, None)
    assert execution["customer"] == {"id": customer["id"], "name": customer["name"]}
    assert execution["flow"]["key"] == "orders"
    assert execution["tags"] == {"order_id": "A-1"}


async def test_steps_show_what_happened_and_when(road: Travelled) -> None:
    steps = road.execution["steps"]
    assert [step["path"] for step in steps] == ["order", "say", "lines", "lines[0].ship", "lines[1].ship"]
    assert {step["status"] for step in steps} == {"succeeded"}
    order, ship = steps[0], steps[4]
    assert (order["component"], order["action"], order["name"], order["attempt"]) == (
        "http",
        "get",
        "Fetch the order",
        1,
    )
    assert order["output"]["status"] == 200
    assert order["output"]["body"]["lines"] == ORDER["lines"]
    assert (ship["iteration"], ship["inputs"]["json"]) == ([1], {"sku": "nut", "note": NOTE})
    assert all(step["started_at"] <= step["ended_at"] for step in steps)
    whole = await road.client.call("GET", f"{road.path}/steps/lines[1].ship/output")
    assert whole == ship["output"]


async def test_secrets_reach_the_target_and_nobody_else(road: Travelled) -> None:
    received = road.spot.called("/order")[0].headers
    assert (received["authorization"], received["x-pin"]) == (f"Bearer {TOKEN}", PIN)
    config = await road.client.call("GET", f"/v1/instances/{road.made.id}/config")
    logs = await road.client.all_of(f"{road.path}/logs")
    shown = str([road.execution, config, logs, road.made.instance])
    assert TOKEN not in shown
    assert PIN not in shown
    assert road.execution["steps"][0]["inputs"]["headers"]["x-pin"] == MASK


async def test_timing_of_an_execution(road: Travelled) -> None:
    execution = road.execution
    assert execution["queued_at"] <= execution["started_at"] <= execution["ended_at"]
    assert 0 < execution["duration_seconds"] < 30
    assert execution["ended_at"].endswith("Z")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{ "id" : 1.50, "a":"\xc3\xa4" }\n', "application/json"),
        (bytes(range(256)), "application/octet-stream"),
        (b"", "text/plain"),
    ],
)
async def test_payload_is_kept_byte_for_byte(road: Travelled, body: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type, "X-Two": "2"}
    url = f"{road.made.url('orders')}/deep/er?a=1&a=2"
    execution_id = await road.client.delivered(url, content=body, headers=headers)
    raw = await road.client.http.get(f"/v1/executions/{execution_id}/payload/raw")
    assert (raw.content, raw.headers["Content-Type"]) == (body, content_type)
    payload = await road.client.call("GET", f"/v1/executions/{execution_id}/payload")
    assert (payload["method"], payload["path"], payload["query"]) == ("POST", "/deep/er", {"a": ["1", "2"]})
    assert (payload["size"], payload["content_type"], payload["headers"]["x-two"]) == (len(body), content_type, "2")
    await road.client.wait_for(execution_id, "succeeded")


async def test_logs_are_searched_by_text_severity_and_time(road: Travelled) -> None:
    execution, client = road.execution, road.client
    warned = await client.all_of(f"{road.path}/logs", severity="warn")
    assert [(line["message"], line["step"]) for line in warned] == [("Order A-1", "say")]
    at = warned[0]["timestamp"]
    assert warned == await client.all_of("/v1/logs", execution_id=execution["id"], q="rder a-")
    assert warned == await client.all_of("/v1/logs", execution_id=execution["id"], min_severity="warn")
    later = await client.all_of("/v1/logs", execution_id=execution["id"], after=at)
    earlier = await client.all_of("/v1/logs", execution_id=execution["id"], before=at)
    whole = await client.all_of(f"{road.path}/logs")
    assert later + earlier == whole
    assert warned[0] in later
    assert len(whole) == 4
    assert {line["step"] for line in earlier} == {"order"}


async def test_filters_find_an_execution_and_their_opposites_do_not(road: Travelled) -> None:
    execution, made = road.execution, road.made
    other = "2020-01-01T00:00:00Z"
    filters: dict[str, tuple[Any, Any]] = {
        "customer_id": (made.customer["id"], "cust_none"),
        "instance_id": (made.id, "inst_none"),
        "integration_id": (made.integration["id"], "intg_none"),
        "version_id": (made.version["id"], "ver_none"),
        "flow_id": (made.flows["orders"]["id"], "flow_none"),
        "status": ("succeeded", "failed"),
        "trigger": ("webhook", "schedule"),
        "tag": ("order_id:A-1", "order_id:A-2"),
        "started_after": (execution["queued_at"], execution["ended_at"]),
        "started_before": (execution["ended_at"], other),
        "min_duration_seconds": (execution["duration_seconds"] / 2, execution["duration_seconds"] + 1000),
        "is_test": ("false", "true"),
        "q": (execution["id"], "exec_none"),
    }
    for name, (matching, opposite) in filters.items():
        wanted = {"customer_id": made.customer["id"], name: matching}
        assert execution["id"] in await _ids(road.client, **wanted), name
        assert execution["id"] not in await _ids(road.client, **wanted | {name: opposite}), name


async def test_unresolved_is_a_failed_original_without_a_successful_replay(client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(500), Answer(400), Answer(200))
    made = await client.provision(call(), endpoint=spot.url)
    original = await client.delivered(made.url("call"), json={"id": 1})
    failed = await client.wait_for(original, "failed")
    assert (failed["error"]["code"], failed["error"]["step"]) == ("http_status", "post")
    flow = (await client.flows(made.id))["call"]
    assert flow["in_failed_state"] is True
    assert await _ids(client, instance_id=made.id, unresolved="true") == [original]

    replays = [await _replayed(client, original, status) for status in ("failed", "succeeded")]
    assert await _ids(client, instance_id=made.id, replay_of=original) == replays[::-1]
    assert await _ids(client, instance_id=made.id, originals_only="true") == [original]
    assert await _ids(client, instance_id=made.id, unresolved="true") == []
    assert await _ids(client, instance_id=made.id, status=["failed", "succeeded"]) == [*replays[::-1], original]


async def test_replay_sends_the_same_bytes_and_is_linked_both_ways(road: Travelled) -> None:
    client, body = road.client, b'{"id":   "A-9", "note": "\xe2\x82\xac"}'
    headers = {"Content-Type": "application/json", "Idempotency-Key": fresh("key")}
    original = await client.delivered(road.made.url("orders"), content=body, headers=headers)
    await client.wait_for(original, "succeeded")
    replay = await client.wait_for(await _replayed(client, original, "succeeded"), "succeeded")
    assert (replay["replay_of"], replay["trigger"], replay["tags"]) == (original, "webhook", {"order_id": "A-9"})
    assert [each["id"] for each in (await client.execution(original))["replays"]] == [replay["id"]]
    raw = await client.http.get(f"/v1/executions/{replay['id']}/payload/raw")
    assert raw.content == body
    keys = [call.key or "" for call in road.spot.called("/ship")]
    assert {f"{original}:lines[0].ship", f"{replay['id']}:lines[0].ship"} <= set(keys)


async def test_replay_from_the_failed_step_keeps_what_was_done(client: Client, spot: Spot) -> None:
    spot.script("/order", Answer(body=ORDER))
    spot.script("/ship", Answer(200), Answer(500), Answer(200))
    made = await client.provision(ROAD, shop={"token": TOKEN}, endpoint=spot.url)
    original = await client.delivered(made.url("orders"), json={"id": 1})
    assert (await client.wait_for(original, "failed"))["error"]["step"] == "lines[1].ship"
    accepted = await client.call(
        "POST", f"/v1/executions/{original}/replay", expect=202, json={"from": "failed_step", "version": "original"}
    )
    replay = await client.wait_for(accepted["execution_id"], "succeeded")
    assert len(spot.called("/order")) == 1
    assert [len(spot.called("/ship")), len(replay["steps"])] == [3, 5]


async def test_failed_attempts_are_retried_and_all_of_them_visible(client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(500), Answer(500, delay=0.1), Answer(200))
    made = await client.provision(call(retry="{retries: 3, delay: 1s}"), endpoint=spot.url)
    execution_id = await client.delivered(made.url("call"), json={"id": 1})
    waiting = await client.wait_for(execution_id, "retrying")
    assert waiting["attempt"] in (1, 2)
    assert waiting["error"]["code"] == "http_status"
    assert waiting["next_attempt_at"] > waiting["started_at"]
    execution = await client.wait_for(execution_id, "succeeded")
    assert (execution["attempt"], execution["max_attempts"], execution["next_attempt_at"]) == (3, 4, None)
    assert execution["error"] is None
    attempts = [
        (step["attempt"], step["status"], step["error"] and step["error"]["code"]) for step in execution["steps"]
    ]
    assert attempts == [(1, "failed", "http_status"), (2, "failed", "http_status"), (3, "succeeded", None)]
    assert {call.key for call in spot.calls} == {f"{execution_id}:post"}


async def test_cancel_ends_a_pending_retry_at_once(client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(503))
    made = await client.provision(call(retry="{retries: 3, delay: 10m}"), endpoint=spot.url)
    execution_id = await client.delivered(made.url("call"), json={"id": 1})
    await client.wait_for(execution_id, "retrying")
    await client.call("POST", f"/v1/executions/{execution_id}/cancel", expect=202)
    canceled = await client.wait_for(execution_id, "canceled", timeout=10)
    assert (canceled["reason"], canceled["next_attempt_at"], len(spot.calls)) == ("canceled", None, 1)
    again = await client.call("POST", f"/v1/executions/{execution_id}/cancel", expect=409)
    assert again["code"] == "state_conflict"


async def test_cancel_ends_a_running_step(client: Client, spot: Spot) -> None:
    spot.hold("/post")
    made = await client.provision(call(retry="{retries: 3, delay: 1s}"), endpoint=spot.url)
    execution_id = await client.delivered(made.url("call"), json={"id": 1})
    await spot.until_called("/post")
    await client.call("POST", f"/v1/executions/{execution_id}/cancel", expect=202)
    await client.wait_for(execution_id, "canceled", timeout=15)
    assert len(spot.calls) == 1


async def _ids(client: Client, **filters: Any) -> list[str]:
    return [execution["id"] for execution in await client.executions(**filters)]


async def _replayed(client: Client, execution_id: str, status: str) -> str:
    """The id of a replay that has come to this status."""
    accepted = await client.call("POST", f"/v1/executions/{execution_id}/replay", expect=202)
    return str((await client.wait_for(accepted["execution_id"], status))["id"])
