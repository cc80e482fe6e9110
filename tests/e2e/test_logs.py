"""Live updates across two APIs, log streams through kills, instances that keep less."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from cli.streaming import ServerEvent, events
from tests.e2e.client import Client, Json
from tests.e2e.conftest import connected
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

TALKS = """\
schema: flowgraft/v1
key: KEY
name: Talks KEY
flows:
  - key: talk
    name: Talk
    trigger: {type: webhook}
    steps:
      - {key: say, action: log.write, inputs: {message: "Said {{ trigger.body.id }}"}}
      - {key: keep, action: data.object, inputs: {values: {id: "{{ trigger.body.id }}"}}}
      - key: ask
        branch:
          - {name: No, when: {equal: ["{{ trigger.body.id }}", "wrong"]}, steps: [{key: end, stop: {fail: Refused}}]}
"""


class Events:
    """A stream read in the background."""

    def __init__(self) -> None:
        self.seen: list[ServerEvent] = []
        self.over = False

    async def until(self, name: str, **data: Any) -> ServerEvent:
        async with asyncio.timeout(30):
            while True:
                for event in self.seen:
                    if event.name == name and data.items() <= event.data.items():
                        return event
                await asyncio.sleep(0.02)


@asynccontextmanager
async def following(http: httpx2.AsyncClient, path: str, last_id: str | None = None) -> AsyncIterator[Events]:
    """From the moment on when the stream is open."""
    read, opened = Events(), asyncio.Event()

    async def follow() -> None:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        async with http.stream("GET", path, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            block: list[str] = []
            async for line in response.aiter_lines():
                opened.set()
                block.append(line)
                if not line:
                    read.seen += events(block)
                    block = []
        read.over = True

    following = asyncio.create_task(follow())
    try:
        async with asyncio.timeout(10):
            await opened.wait()
        yield read
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_what_happens_at_one_api_is_told_by_another(stack: Stack, client: Client) -> None:
    made = await client.provision(TALKS)
    async with stack.second_api() as second, connected(stack) as other:
        other.base_url = httpx2.URL(second.url)
        lines = following(other, f"/v1/logs/stream?instance_id={made.id}&type=execution")
        changes = following(other, f"/v1/events?instance_id={made.id}")
        async with lines as told, changes as moves:
            execution_id = await client.delivered(made.url("talk"), json={"id": "hello"})
            async with following(other, f"/v1/executions/{execution_id}/events") as one:
                await one.until("end")
            assert (await told.until("log", execution_id=execution_id)).data["message"] == "Said hello"
            await moves.until("execution.succeeded", id=execution_id)
            await client.call("POST", f"/v1/instances/{made.id}/pause")
            await moves.until("instance.paused")
    statuses = [event.data["status"] for event in one.seen if event.name == "execution"]
    assert statuses[-1] == "succeeded"
    assert {event.data["path"] for event in one.seen if event.name == "step"} == {"say", "keep", "ask"}


async def test_streams_end_with_their_api_and_go_on_at_another(stack: Stack, client: Client) -> None:
    made = await client.provision(TALKS)
    path = f"/v1/logs/stream?instance_id={made.id}&type=execution"
    async with stack.second_api() as second, connected(stack) as other:
        other.base_url = httpx2.URL(second.url)
        async with following(other, path) as told:
            await client.delivered(made.url("talk"), json={"id": 1})
            last = await told.until("log", message="Said 1")
            began = time.monotonic()
            await second.stop()
            assert time.monotonic() - began < 15
            assert told.over
    meanwhile = await client.delivered(made.url("talk"), json={"id": 2})
    await client.wait_for(meanwhile, "succeeded")
    async with following(client.http, path, last.id) as told:
        await told.until("log", message="Said 2")
        await client.delivered(made.url("talk"), json={"id": 3})
        await told.until("log", message="Said 3")


async def test_log_stream_loses_nothing_when_workers_are_killed(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(TALKS)
    body = {"name": made.id, "url": f"{spot.url}/in", "instance_id": made.id, "types": ["execution"], "batch_size": 2}
    stream = await client.call("POST", "/v1/log_streams", expect=201, json=body)
    spot.script("/in", Answer(503), Answer(202))
    for number in range(5):
        await client.wait_for(await client.delivered(made.url("talk"), json={"id": number}), "succeeded")
    spot.hold("/in")
    await spot.until_called("/in", 1)
    stack.kill_workers()
    spot.release()
    stack.start_workers()
    async with asyncio.timeout(90):
        while len(arrived(spot)) < 5:
            await asyncio.sleep(0.1)
    assert arrived(spot) == {f"Said {number}" for number in range(5)}
    shown = await client.call("GET", f"/v1/log_streams/{stream['id']}")
    assert shown["refused"] == 0
    await client.call("DELETE", f"/v1/log_streams/{stream['id']}", expect=204)


def arrived(spot: Spot) -> set[str]:
    """In requests that were taken: what came before the first refusal is sent again."""
    return {line["message"] for each in spot.called("/in")[1:] for line in json.loads(each.body)}


async def test_log_stream_made_while_temporal_is_away(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(TALKS)
    await stack.temporal.stop()
    body = {"name": made.id, "url": f"{spot.url}/in", "instance_id": made.id, "types": ["execution"]}
    stream = await client.call("POST", "/v1/log_streams", expect=201, json=body)
    execution_id = await client.delivered(made.url("talk"), json={"id": "late"})
    await stack.heal()
    await client.wait_for(execution_id, "succeeded", timeout=60)
    await spot.until_called("/in", 1, timeout=60)
    assert [line["message"] for line in json.loads(spot.calls[0].body)] == ["Said late"]
    await client.call("DELETE", f"/v1/log_streams/{stream['id']}", expect=204)


async def test_instance_that_keeps_less(client: Client) -> None:
    made = await client.provision(TALKS)
    changes = {"log_level": "error", "step_outputs_disabled": True}
    await client.call("PATCH", f"/v1/instances/{made.id}", json=changes)
    well = await client.wait_for(await client.delivered(made.url("talk"), json={"id": "a"}), "succeeded")
    badly = await client.wait_for(await client.delivered(made.url("talk"), json={"id": "wrong"}), "failed")
    *others, answer = well["steps"]
    assert answer["inputs"] is None
    assert [step["inputs"] or step["output"] for step in [*others, *badly["steps"]]] == [None] * 6
    assert badly["step_values_removed_at"] is not None
    lines: list[Json] = await client.all_of("/v1/logs", instance_id=made.id, type="execution")
    assert [line["severity"] for line in lines] == ["error"]
    replay = f"/v1/executions/{badly['id']}/replay"
    refused = await client.call("POST", replay, expect=409, json={"from": "failed_step"})
    assert "outputs" in refused["detail"]
