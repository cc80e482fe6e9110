"""Callers who wait for a flow's own answer."""

import asyncio

import httpx2
import pytest

from tests.e2e.client import Client
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

SYNC = """\
schema: flowgraft/v1
key: KEY
name: Sync KEY
config:
  - {page: Connect, fields: [{key: endpoint, type: string}]}
flows:
  - key: ask
    trigger: {type: webhook, respond: sync, methods: [GET, POST]}
    steps:
      - {key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/post", json: "{{ trigger.body }}"}}
      - key: answer
        stop:
          status: 201
          headers: {X-Order: "{{ steps.post.body.order }}"}
          body: {order: "{{ steps.post.body.order }}"}
  - key: queued
    trigger: {type: webhook}
    concurrency: {mode: sequential}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/queued", json: {}}}]
"""


async def ask(client: Client, url: str, **headers: str) -> httpx2.Response:
    return await client.http.post(url, json={"id": 1}, headers=headers)


async def test_flow_answers_its_caller(client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(body={"order": 7}))
    made = await client.provision(SYNC, endpoint=spot.url)
    response = await ask(client, made.url("ask"))
    assert (response.status_code, response.json(), response.headers["x-order"]) == (201, {"order": 7}, "7")
    execution = await client.execution(response.headers["flowgraft-execution-id"])
    assert execution["status"] == "succeeded"
    assert (await client.http.get(made.url("ask"))).status_code == 201


async def test_flow_answers_although_its_instance_keeps_no_values(client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(body={"order": 8}))
    made = await client.provision(SYNC, endpoint=spot.url)
    await client.call("PATCH", f"/v1/instances/{made.id}", json={"step_outputs_disabled": True})
    response = await ask(client, made.url("ask"))
    assert (response.status_code, response.json(), response.headers["x-order"]) == (201, {"order": 8}, "8")
    post, _ = (await client.execution(response.headers["flowgraft-execution-id"]))["steps"]
    assert (post["inputs"], post["output"]) == (None, None)


async def test_failed_flow_says_which_execution_and_no_more(client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(404, body={"internal": "words"}))
    made = await client.provision(SYNC, endpoint=spot.url)
    response = await ask(client, made.url("ask"))
    assert (response.status_code, response.json()["code"]) == (500, "execution_failed")
    assert "internal" not in response.text
    await client.wait_for(response.headers["flowgraft-execution-id"], "failed")


async def test_answer_that_takes_too_long_is_a_receipt_and_the_flow_goes_on(client: Client, spot: Spot) -> None:
    spot.hold("/post")
    spot.script("/post", Answer(body={"order": 7}))
    made = await client.provision(SYNC, endpoint=spot.url)
    response = await ask(client, made.url("ask"), prefer="wait=1")
    assert (response.status_code, response.headers["location"]) == (202, response.json()["url"])
    spot.release()
    await client.wait_for(response.json()["execution_id"], "succeeded")


async def test_caller_is_answered_although_the_worker_was_killed(stack: Stack, client: Client, spot: Spot) -> None:
    spot.hold("/post")
    spot.script("/post", Answer(body={"order": 7}))
    made = await client.provision(SYNC, endpoint=spot.url)
    asking = asyncio.create_task(ask(client, made.url("ask")))
    await spot.until_called("/post")
    stack.kill_workers()
    spot.release()
    stack.start_workers()
    response = await asking
    assert (response.status_code, response.json()) == (201, {"order": 7})
    assert len({call.key for call in spot.calls}) == 1


async def test_without_temporal_the_caller_gets_a_receipt(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(SYNC, endpoint=spot.url)
    stack.temporal.kill()
    response = await ask(client, made.url("ask"))
    assert response.status_code == 202
    await stack.heal()
    await client.wait_for(response.json()["execution_id"], "succeeded", timeout=60)


async def test_who_prefers_to_wait_waits_for_a_place_in_the_queue_too(client: Client, spot: Spot) -> None:
    spot.hold("/queued")
    made = await client.provision(SYNC, endpoint=spot.url)
    first = await client.delivered(made.url("queued"))
    await spot.until_called("/queued")
    asking = asyncio.create_task(ask(client, made.url("queued"), prefer="wait=20"))
    await asyncio.sleep(0.5)
    spot.release()
    response = await asking
    assert (response.status_code, response.json()["status"]) == (200, 200)
    assert response.headers["preference-applied"] == "wait=20"
    await client.wait_for(first, "succeeded")
