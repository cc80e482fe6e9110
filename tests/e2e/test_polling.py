"""Flows that poll: only what is new runs, nothing new is a skipped execution, and nothing is forgotten."""

import asyncio
import json
from typing import Any

import pytest
from temporalio.client import ScheduleOverlapPolicy

from tests.e2e.client import Client, Json, Provision
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLL = """\
schema: flowgraft/v1
key: KEY
name: Poll KEY
config:
  - {page: Connect, fields: [{key: endpoint, type: string}]}
flows:
  - key: new
    trigger:
      type: poll
      cron: "0 0 1 1 *"
      action: http.get
      inputs: {url: "{{ config.endpoint }}/list", query: {since: "{{ poll.cursor }}"}}
      items: body.orders
      id: id
      cursor: body.next
    steps: [{key: tell, action: http.post, inputs: {url: "{{ config.endpoint }}/told", json: "{{ trigger.body }}"}}]
"""


def orders(*ids: int, after: Any = None) -> Answer:
    return Answer(body={"orders": [{"id": each} for each in ids], "next": after})


async def polled(stack: Stack, client: Client, made: Provision) -> Json:
    """What one fire of its schedule came to."""
    flow = made.flows["new"]["id"]
    before = {each["id"] for each in await client.executions(flow_id=flow)}
    schedule = (await stack.temporal_client()).get_schedule_handle(f"schedule-{flow}")
    await schedule.trigger(overlap=ScheduleOverlapPolicy.ALLOW_ALL)
    async with asyncio.timeout(40):
        while True:
            found = [each for each in await client.executions(flow_id=flow) if each["id"] not in before]
            if found and found[0]["status"] in ("succeeded", "skipped", "failed"):
                return found[0]
            await asyncio.sleep(0.1)


def told(spot: Spot) -> list[list[int]]:
    return [[item["id"] for item in json.loads(call.body)["items"]] for call in spot.called("/told")]


async def test_only_what_is_new_runs(stack: Stack, client: Client, spot: Spot) -> None:
    spot.script("/list", orders(1, 2, after="a"), orders(2, 1), orders(2, 3, after="b"), Answer(500), orders(3))
    made = await client.provision(POLL, endpoint=spot.url)
    first = await polled(stack, client, made)
    assert (first["status"], first["trigger"], told(spot)) == ("succeeded", "poll", [[1, 2]])
    await asyncio.sleep(1.1)  # two fires within a second would be one
    none = await polled(stack, client, made)
    assert (none["status"], none["reason"], told(spot)) == ("skipped", "no_changes", [[1, 2]])
    await asyncio.sleep(1.1)
    await polled(stack, client, made)
    assert told(spot) == [[1, 2], [3]]
    await asyncio.sleep(1.1)
    failed = await polled(stack, client, made)
    assert (failed["status"], failed["error"]["step"]) == ("failed", "$poll")
    await asyncio.sleep(1.1)
    await polled(stack, client, made)
    assert (await client.flows(made.id))["new"]["in_failed_state"] is True  # nothing new has not mended it
    shown = await client.executions(flow_id=made.flows["new"]["id"], hide_no_changes="true")
    assert {each["status"] for each in shown} == {"succeeded", "failed"}
    again = await client.call("POST", f"/v1/executions/{first['id']}/replay", expect=202)
    await client.wait_for(again["execution_id"], "succeeded")
    assert (told(spot)[-1], len(spot.called("/list"))) == ([1, 2], 5)  # it takes what was polled then


async def test_killed_worker_forgets_nothing_new(stack: Stack, client: Client, spot: Spot) -> None:
    spot.script("/list", orders(1), orders(1, 2))
    spot.hold("/told")
    made = await client.provision(POLL, endpoint=spot.url)
    polling = asyncio.create_task(polled(stack, client, made))
    await spot.until_called("/told")
    stack.kill_workers()
    spot.release()
    stack.start_workers()
    assert (await polling)["status"] == "succeeded"
    assert len({call.key for call in spot.called("/told")}) == 1
    assert told(spot)[0] == [1]
