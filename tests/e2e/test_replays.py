"""Many executions replayed while things break, and retries that a newer delivery makes needless."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from tests.e2e.client import Client, Json, Provision
from tests.e2e.definitions import call
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def failures(client: Client, spot: Spot, made: Provision, count: int) -> list[str]:
    spot.script("/post", Answer(400))
    ids = [await client.delivered(made.url("call"), json={"id": number}) for number in range(count)]
    for each in ids:
        await client.wait_for(each, "failed")
    spot.calls.clear()
    spot.script("/post", Answer(200))
    return ids


async def replay(client: Client, made: Provision, **body: Any) -> Json:
    wanted = {"filter": {"instance_id": made.id, "unresolved": True}} | body
    headers = {"Idempotency-Key": f"replay of {made.id} {body}"}
    answer: Json = await client.call("POST", "/v1/replays", expect=202, json=wanted, headers=headers)
    return answer


async def until(client: Client, replay_id: str, **wanted: Any) -> Json:
    """The replay, once it is as wanted: `succeeded=2` at least two."""
    async with asyncio.timeout(90):
        while True:
            shown: Json = await client.call("GET", f"/v1/replays/{replay_id}")
            if all(
                shown[name] >= value if isinstance(value, int) else shown[name] == value
                for name, value in wanted.items()
            ):
                return shown
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("part", ["worker", "temporal", "api"])
async def test_whatever_is_killed_every_execution_is_replayed_once(
    stack: Stack, client: Client, spot: Spot, part: str
) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    originals = await failures(client, spot, made, 12)
    started = await replay(client, made, rate_per_second=4)
    assert started["matched"] == 12
    shown = await until(client, started["id"], succeeded=3)
    stack.kill(part)
    assert shown["succeeded"] < 12
    await asyncio.sleep(1)
    await stack.heal()
    shown = await until(client, started["id"], state="succeeded")
    assert (shown["succeeded"], shown["failed"], shown["skipped"], shown["done"]) == (12, 0, 0, 12)
    items = await client.all_of(f"/v1/replays/{started['id']}/items")
    assert [item["execution_id"] for item in items] == originals
    for item in items:
        execution = await client.execution(item["execution_id"])
        assert [each["id"] for each in execution["replays"]] == [item["replayed_as"]]
    # A target that honours the key has seen each of them once, however often it was called.
    assert {each.key for each in spot.called("/post")} == {f"{item['replayed_as']}:post" for item in items}
    assert await client.executions(instance_id=made.id, unresolved="true") == []
    again = await replay(client, made, rate_per_second=50)
    assert (again["matched"], (await until(client, again["id"], state="succeeded"))["done"]) == (0, 0)


async def test_a_replay_without_temporal_begins_when_it_is_back(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    await failures(client, spot, made, 2)
    stack.temporal.kill()
    started = await replay(client, made)
    assert (started["state"], started["stage"]) == ("running", "queued")
    await stack.heal()
    assert (await until(client, started["id"], state="succeeded"))["succeeded"] == 2


async def test_a_replay_is_paused_resumed_and_stopped(client: Client, spot: Spot) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    await failures(client, spot, made, 8)
    spot.script("/post", Answer(400))
    started = await replay(client, made, rate_per_second=1, stop_at_failure_percent=50, min_ended=3)
    await until(client, started["id"], started=1)
    assert (await client.call("POST", f"/v1/replays/{started['id']}/pause"))["state"] == "paused"
    await asyncio.sleep(1.5)
    paused = await client.call("GET", f"/v1/replays/{started['id']}")
    await asyncio.sleep(1.5)
    assert (await client.call("GET", f"/v1/replays/{started['id']}"))["started"] == paused["started"] < 3
    await client.call("POST", f"/v1/replays/{started['id']}/resume")
    shown = await until(client, started["id"], state="failed")
    assert shown["error"]["code"] == "failure_rate_exceeded"
    assert 3 <= shown["failed"] <= 5
    left = await client.all_of(f"/v1/replays/{started['id']}/items", status="skipped")
    assert (len(left), {item["reason"] for item in left}) == (8 - shown["started"], {"stopped"})


async def test_a_newer_delivery_ends_the_pending_retry(stack: Stack, client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(503), Answer(200))
    retry = '{retries: 3, delay: 10m, unique_by: "{{ trigger.body.id }}"}'
    made = await client.provision(call(retry=retry), endpoint=spot.url)
    older = await client.delivered(made.url("call"), json={"id": 1})
    assert (await client.wait_for(older, "retrying"))["next_attempt_at"] is not None
    newer = await client.delivered(made.url("call"), json={"id": 1})
    superseded = await client.wait_for(older, "canceled", timeout=1)
    assert (superseded["reason"], superseded["superseded_by"]) == ("superseded", newer)
    assert (await client.wait_for(newer, "succeeded"))["supersedes"] == [older]
    handle = (await stack.temporal_client()).get_workflow_handle(older)
    async with asyncio.timeout(30):
        while (await handle.describe()).status == WorkflowExecutionStatus.RUNNING:
            await asyncio.sleep(0.1)
    assert len(spot.calls) == 2
    assert (await client.execution(older))["reason"] == "superseded"
