"""What stands in Temporal: names that people can read, and nothing of a customer's data in the clear."""

import asyncio
import json
from typing import Any

import pytest
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus

from tests.e2e.client import Client, Provision
from tests.e2e.conftest import connected
from tests.e2e.definitions import ROAD
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import CAPABILITY, ORIGIN, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

CANARIES = [b"canary-token", b"canary-pin", b"canary-note", b"canary-answer", b"canary-failure"]


@pytest.fixture
def scripted(spot: Spot) -> Spot:
    spot.script("/order", Answer(body={"secret": "canary-answer", "lines": [{"sku": "bolt"}]}))
    spot.script("/ship", Answer(422, body={"why": "canary-failure"}))
    return spot


async def _failed(client: Client, spot: Spot) -> tuple[Provision, str]:
    config = {"shop": {"token": "canary-token"}, "endpoint": spot.url, "pin": "canary-pin"}
    made = await client.provision(ROAD, **config)
    execution_id = await client.delivered(made.url("orders"), json={"id": 1, "note": "canary-note"})
    await client.wait_for(execution_id, "failed")
    return made, execution_id


async def test_history_reads_like_the_flow_and_holds_ciphertext_only(
    stack: Stack, client: Client, scripted: Spot
) -> None:
    made, execution_id = await _failed(client, scripted)
    temporal = await stack.temporal_client()
    handle = temporal.get_workflow_handle(execution_id)
    async with asyncio.timeout(10):
        while (described := await handle.describe()).status == WorkflowExecutionStatus.RUNNING:
            await asyncio.sleep(0.05)
    execution = await client.execution(execution_id)
    assert execution["temporal"]["workflow_id"] == described.id == execution_id
    assert execution["temporal"]["run_id"] == described.run_id
    assert execution["temporal"]["url"].startswith(f"{ORIGIN}/namespaces/default/workflows/{execution_id}/")
    assert described.status == WorkflowExecutionStatus.FAILED
    attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    expected = {
        "CustomerId": made.customer["id"],
        "InstanceId": made.id,
        "InstanceFlowId": made.flows["orders"]["id"],
        "IntegrationId": made.integration["id"],
        "IntegrationVersion": "1",
        "Trigger": "webhook",
        "Outcome": "failed",
    }
    assert {name: attributes.get(name) for name in expected} == expected

    events = list((await handle.fetch_history()).events)
    raw = b"".join(event.SerializeToString() for event in events)
    raw += described.raw_description.SerializeToString()
    assert [canary for canary in CANARIES if canary in raw] == []
    activities = {_activity(event): await _summary(client, event) for event in events if _activity(event)}
    assert activities == {"http.get": "Fetch the order", "http.post": "Tell the warehouse"}
    memo = described.raw_description.workflow_execution_info.memo.fields
    line = f"{made.customer['name']} · {made.instance['name']} v1 · Orders · webhook"
    assert await _decoded(client, memo["summary"]) == line
    assert execution_id in await _decoded(client, memo["details"])
    assert await _summary(client, events[0]) == line


async def test_codec_endpoint_is_for_admins_and_the_web_ui(stack: Stack, client: Client, scripted: Spot) -> None:
    _, execution_id = await _failed(client, scripted)
    history = await (await stack.temporal_client()).get_workflow_handle(execution_id).fetch_history()
    payload = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    body = {"payloads": [json_format.MessageToDict(payload)]}
    assert b"canary-note" in _data((await client.call("POST", "/codec/decode", json=body))["payloads"][0])

    key = await client.call("POST", "/v1/api_keys", expect=201, json={"name": "Writer", "scopes": ["write"]})
    for used, status in ((key["key"], 403), ("wrong-key-of-nobody-at-all", 401), (None, 401)):
        async with connected(stack, used) as http:
            assert (await http.post("/codec/decode", json=body)).status_code == status
    async with connected(stack, None) as http:
        shown = await http.post(f"/codec/{CAPABILITY}/decode", json=body, headers={"Origin": ORIGIN})
        assert b"canary-note" in _data(shown.json()["payloads"][0])
        assert shown.headers["Access-Control-Allow-Origin"] == ORIGIN
        guess = "0" * len(CAPABILITY)
        assert (await http.post(f"/codec/{guess}/decode", json=body)).status_code == 404


def _activity(event: HistoryEvent) -> str:
    return event.activity_task_scheduled_event_attributes.activity_type.name


async def _summary(client: Client, event: HistoryEvent) -> Any:
    return await _decoded(client, event.user_metadata.summary)


async def _decoded(client: Client, payload: Payload) -> Any:
    assert payload.metadata["encoding"] == b"binary/encrypted"
    body = {"payloads": [json_format.MessageToDict(payload)]}
    answer = await client.call("POST", "/codec/decode", json=body)
    return json.loads(_data(answer["payloads"][0]))


def _data(payload: dict[str, Any]) -> bytes:
    return json_format.ParseDict(payload, Payload()).data
