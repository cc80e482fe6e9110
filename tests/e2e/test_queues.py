"""Flows with a queue, on the whole stack: limits and order as the target sees them, whoever is killed."""

import asyncio
import logging
import os
from time import perf_counter
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from domain.messages import queue_workflow_id
from tests.e2e.client import Client, Provision
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOOD = int(os.environ.get("FLOOD", "1000"))  # the figure in docs/nouns/queues.md is of 5,000
measured = logging.getLogger("measured")  # shown with --log-cli-level=INFO

QUEUED = """\
schema: flowgraft/v1
key: KEY
name: Queued KEY
config: [{page: Connect, fields: [{key: endpoint, type: string}]}]
flows:
  - key: queued
    trigger: {type: webhook}
    concurrency: CONCURRENCY
    retry: {retries: 1, delay: 1s}
    steps:
      - {key: begin, action: http.post, inputs: {url: "{{ config.endpoint }}/begin", json: {}}}
      - {key: end, action: http.post, inputs: {url: "{{ config.endpoint }}/end", json: {}}}
"""


STEPS = """\
    steps:
      - {key: begin, action: http.post, inputs: {url: "{{ config.endpoint }}/begin", json: {}}}
      - {key: end, action: http.post, inputs: {url: "{{ config.endpoint }}/end", json: {}}}
"""
PARALLEL = f"""\
schema: flowgraft/v1
key: KEY
name: Parallel KEY
config: [{{page: Connect, fields: [{{key: endpoint, type: string}}]}}]
flows:
  - key: one
    trigger: {{type: webhook}}
{STEPS}
  - key: two
    trigger: {{type: webhook}}
{STEPS}
  - key: timed
    trigger: {{type: schedule, cron: "0 0 1 1 *"}}
{STEPS}
"""


QUICK = """\
schema: flowgraft/v1
key: KEY
name: Quick KEY
flows:
  - key: quick
    trigger: {type: webhook}
    concurrency: {mode: throttled, limit: 100}
    steps: [{key: say, action: log.write, inputs: {message: Hello}}]
"""


def queued(concurrency: str) -> str:
    return QUEUED.replace("CONCURRENCY", concurrency)


async def delivered(client: Client, made: Provision, number: int, keys: str = "a") -> list[str]:
    bodies = [{"id": each, "key": keys[each % len(keys)]} for each in range(number)]
    return [await client.delivered(made.url("queued"), json=body) for body in bodies]


async def until_over(client: Client, ids: list[str], timeout: float = 60.0) -> list[dict[str, Any]]:
    return [await client.wait_for(each, "succeeded", timeout) for each in ids]


def executions(spot: Spot, path: str) -> list[str]:
    """In the order of their first calls."""
    return list(dict.fromkeys(call.key.partition(":")[0] for call in spot.called(path) if call.key))


def most_at_once(spot: Spot) -> int:
    """By what the target has seen: one runs from its first call to the answer of its last."""
    running: set[str] = set()
    most = 0
    for call in spot.calls:
        execution_id = str(call.key).partition(":")[0]
        running.add(execution_id)
        most = max(most, len(running))
        if call.path == "/end":
            running.discard(execution_id)
    return most


@pytest.mark.parametrize(
    ("concurrency", "limit", "part"),
    [
        ("{mode: sequential}", 1, "worker"),
        ("{mode: sequential}", 1, "temporal"),
        ("{mode: sequential}", 1, "api"),
        ("{mode: throttled, limit: 3}", 3, "worker"),
    ],
)
async def test_a_queue_keeps_its_limit_whatever_is_killed(
    stack: Stack, client: Client, spot: Spot, concurrency: str, limit: int, part: str
) -> None:
    made = await client.provision(queued(concurrency), endpoint=spot.url)
    spot.script("/begin", Answer(delay=0.05))
    ids = await delivered(client, made, 30)
    await spot.until_called("/end", 8)
    stack.kill(part)
    await asyncio.sleep(0.5)
    await stack.heal()
    await until_over(client, ids)
    assert most_at_once(spot) <= limit
    assert set(executions(spot, "/end")) == set(ids)
    if limit == 1:
        assert executions(spot, "/begin") == ids
    else:
        assert most_at_once(spot) == limit


async def test_order_is_kept_per_key_and_keys_do_not_wait_for_each_other(client: Client, spot: Spot) -> None:
    concurrency = '{mode: sequential, key: "{{ trigger.body.key }}"}'
    made = await client.provision(queued(concurrency), endpoint=spot.url)
    spot.hold("/begin")
    ids = await delivered(client, made, 12, "abc")
    await spot.until_called("/begin", 3)
    await asyncio.sleep(0.3)
    assert len(spot.called("/begin")) == 3
    spot.release()
    await until_over(client, ids)
    began = executions(spot, "/begin")
    for first in range(3):
        assert [each for each in began if each in ids[first::3]] == ids[first::3]


@pytest.mark.parametrize("on_failure", ["step_aside", "hold"])
async def test_one_that_is_tried_again_steps_aside_or_holds(client: Client, spot: Spot, on_failure: str) -> None:
    made = await client.provision(queued(f"{{mode: sequential, on_failure: {on_failure}}}"), endpoint=spot.url)
    spot.script("/begin", Answer(503), Answer())
    first, second, third = ids = await delivered(client, made, 3)
    await until_over(client, ids)
    expected = [first, second, third] if on_failure == "hold" else [second, third, first]
    assert executions(spot, "/end") == expected
    assert most_at_once(spot) <= (1 if on_failure == "hold" else 2)  # between its attempts the first does not run
    assert (await client.execution(first))["attempt"] == 2


async def test_a_queue_is_seen_paused_cleared_and_resumed(client: Client, spot: Spot) -> None:
    made = await client.provision(queued("{mode: sequential}"), endpoint=spot.url)
    queue = f"/v1/flows/{made.flows['queued']['id']}/queue"
    spot.hold("/begin")
    first, second, third = await delivered(client, made, 3)
    await spot.until_called("/begin")
    flow = await client.call("POST", f"{queue}/pause")
    seen = flow["queue"]
    assert (seen["mode"], seen["limit"], seen["waiting"], seen["running"], seen["paused"]) == (
        "sequential",
        1,
        2,
        1,
        True,
    )
    waiting = await client.all_of(queue, limit=1)
    assert [each["execution_id"] for each in waiting] == [second, third]
    assert seen["oldest_waiting_at"] == waiting[0]["queued_at"]
    execution = await client.execution(second)
    assert (execution["status"], execution["reason"], execution["attempt"]) == ("queued", "queued_behind", 0)
    spot.release()
    await client.wait_for(first, "succeeded")
    await asyncio.sleep(0.3)
    assert (await client.execution(second))["status"] == "queued"

    await client.call("POST", f"/v1/executions/{second}/cancel", expect=202)
    await client.call("POST", f"{queue}/resume")
    await client.wait_for(third, "succeeded", timeout=8)
    assert await client.call("POST", f"{queue}/clear") == {"canceled": 0}


async def test_a_full_queue_refuses(client: Client, spot: Spot) -> None:
    made = await client.provision(queued("{mode: sequential, max_length: 2}"), endpoint=spot.url)
    await client.call("POST", f"/v1/flows/{made.flows['queued']['id']}/queue/pause")
    await delivered(client, made, 2)
    response = await client.http.post(made.url("queued"), json={})
    assert (response.status_code, response.json()["code"]) == (429, "queue_full")
    assert int(response.headers["retry-after"]) > 0
    assert await client.call("POST", f"/v1/flows/{made.flows['queued']['id']}/queue/clear") == {"canceled": 2}
    await delivered(client, made, 1)


async def test_a_full_queue_drops_its_oldest(client: Client, spot: Spot) -> None:
    concurrency = "{mode: sequential, max_length: 2, when_full: drop_oldest}"
    made = await client.provision(queued(concurrency), endpoint=spot.url)
    await client.call("POST", f"/v1/flows/{made.flows['queued']['id']}/queue/pause")
    first, second, third = await delivered(client, made, 3)
    dropped = await client.execution(first)
    assert (dropped["status"], dropped["reason"]) == ("skipped", "queue_full")
    await client.call("POST", f"/v1/flows/{made.flows['queued']['id']}/queue/resume")
    await until_over(client, [second, third])


async def test_a_replay_waits_in_the_queue_and_a_test_does_not(client: Client, spot: Spot) -> None:
    made = await client.provision(queued("{mode: sequential}"), endpoint=spot.url)
    flow_id = made.flows["queued"]["id"]
    (done,) = await delivered(client, made, 1)
    await client.wait_for(done, "succeeded")
    await client.call("POST", f"/v1/flows/{flow_id}/queue/pause")
    replayed = await client.call("POST", f"/v1/executions/{done}/replay", expect=202)
    tested = await client.call("POST", f"/v1/flows/{flow_id}/test", expect=202, json={"body": {"id": 1, "key": "a"}})
    await client.wait_for(tested["execution_id"], "succeeded")
    assert (await client.execution(replayed["execution_id"]))["reason"] == "queued_behind"
    await client.call("POST", f"/v1/flows/{flow_id}/queue/resume")
    await client.wait_for(replayed["execution_id"], "succeeded")


async def test_a_queue_that_is_continued_as_new_loses_nothing(stack: Stack, client: Client) -> None:
    """Its history is bounded: after some thousand events the next run of its workflow goes on."""
    made = await client.provision(QUICK)
    flow_id = made.flows["quick"]["id"]
    await client.call("POST", f"/v1/flows/{flow_id}/queue/pause")
    ids = await asyncio.gather(*(client.delivered(made.url("quick"), json={"id": each}) for each in range(300)))
    await client.call("POST", f"/v1/flows/{flow_id}/queue/resume")
    done = await until_over(client, sorted(ids), timeout=120)
    assert len(done) == len(set(ids)) == 300
    temporal = await stack.temporal_client()
    runs = [run async for run in temporal.list_workflows(f'WorkflowId = "{queue_workflow_id(flow_id)}"')]
    assert WorkflowExecutionStatus.CONTINUED_AS_NEW in {run.status for run in runs}


async def test_a_parked_one_is_replayed_at_its_place_though_the_worker_is_killed(
    stack: Stack, client: Client, spot: Spot
) -> None:
    """What has its key waits behind it, visibly, and nothing else does."""
    concurrency = '{mode: sequential, key: "{{ trigger.body.key }}", when_failed: park}'
    made = await client.provision(queued(concurrency), endpoint=spot.url)
    flow = f"/v1/flows/{made.flows['queued']['id']}"
    spot.script("/begin", Answer(400), Answer(400), Answer())
    first = await client.delivered(made.url("queued"), json={"id": 0, "key": "a"})
    await client.wait_for(first, "failed")
    second, other, third = ids = await delivered(client, made, 3, "aba")
    await client.wait_for(other, "succeeded")
    async with asyncio.timeout(10):
        while (await client.execution(third))["reason"] != "behind_parked":
            await asyncio.sleep(0.05)
    assert [(await client.execution(each))["status"] for each in (second, third)] == ["queued"] * 2
    assert ((await client.call("GET", flow))["queue"]["parked"], await parked(client, made)) == (1, [first])
    stack.kill_workers()
    again = (await client.call("POST", f"/v1/executions/{first}/replay", expect=202))["execution_id"]
    stack.start_workers()
    await until_over(client, [again, *ids])
    assert executions(spot, "/end") == [other, again, second, third]
    assert await parked(client, made) == []


async def parked(client: Client, made: Provision) -> list[str]:
    return [each["id"] for each in await client.executions(instance_id=made.id, parked=True)]


@pytest.mark.parametrize(("most", "number"), [(None, 200), (20, FLOOD)], ids=["no limit", "a limit"])
async def test_a_customer_that_floods_does_not_hold_up_another(
    client: Client, spot: Spot, most: int | None, number: int
) -> None:
    """Temporal's fairness sees to it where nobody has set a limit; with one the flood does not come to Temporal."""
    flooding = await client.provision(PARALLEL, endpoint=spot.url)
    other = await client.provision(PARALLEL, endpoint=spot.url)
    await client.call("PATCH", f"/v1/customers/{flooding.customer['id']}", json={"max_running": most})
    gate = asyncio.Semaphore(50)

    async def flood(each: int) -> str:
        async with gate:
            return await client.delivered(flooding.url("one"), json={"id": each})

    began = perf_counter()
    flooded = await asyncio.gather(*(flood(each) for each in range(number)))
    accepted = perf_counter() - began
    assert len(set(flooded)) == number
    over = asyncio.Event()

    async def go_on() -> None:
        """What has come so far may be done already, on a fast machine."""
        while not over.is_set():
            flooded.append(await flood(len(flooded)))
            await asyncio.sleep(0.1)

    going_on = asyncio.create_task(go_on())
    took = [await timed(client, other) for _ in range(3)]
    over.set()
    await going_on
    left = await client.call("GET", f"/v1/flows/{flooding.flows['one']['id']}")
    open_ones = left["queue"]["waiting"] + left["queue"]["running"]
    measured.info("%d accepted in %.0f s; beside them one took %s s; %d were left", number, accepted, took, open_ones)
    assert max(took) < 10
    if most is None:
        await until_over(client, flooded, timeout=120)
        return
    assert open_ones > 0
    queue = f"/v1/flows/{flooding.flows['one']['id']}/queue"
    while (await client.call("POST", f"{queue}/clear"))["canceled"]:
        continue


async def timed(client: Client, made: Provision) -> float:
    began = perf_counter()
    await client.wait_for(await client.delivered(made.url("one"), json={}), "succeeded", timeout=60)
    return round(perf_counter() - began, 1)


async def test_a_customers_limit_holds_across_its_flows_though_the_worker_is_killed(
    stack: Stack, client: Client, spot: Spot
) -> None:
    """Both flows run in parallel, and share three slots."""
    made = await client.provision(PARALLEL, endpoint=spot.url)
    await client.call("PATCH", f"/v1/customers/{made.customer['id']}", json={"max_running": 3})
    spot.script("/begin", Answer(delay=0.05))
    ids = [await client.delivered(made.url("one" if each % 2 else "two"), json={"id": each}) for each in range(40)]
    await spot.until_called("/end", 8)
    queue = await client.call("GET", f"/v1/customers/{made.customer['id']}/queue")
    assert (queue["limit"], queue["running"] <= 3, queue["waiting"] > 0) == (3, True, True)
    last = await client.execution(ids[-1])
    assert (last["status"], last["reason"]) == ("queued", "customer_limit")
    stack.kill_workers()
    await asyncio.sleep(0.5)
    stack.start_workers()
    await until_over(client, ids)
    assert most_at_once(spot) == 3
    assert set(executions(spot, "/end")) == set(ids)
    queue = await client.call("GET", f"/v1/customers/{made.customer['id']}/queue")
    assert (queue["running"], queue["waiting"], queue["oldest_waiting_at"]) == (0, 0, None)


async def first_of(client: Client, flow_id: str) -> str:
    """Its first execution, once there is one."""
    async with asyncio.timeout(20):
        while not (found := await client.executions(flow_id=flow_id)):
            await asyncio.sleep(0.05)
    return str(found[0]["id"])


async def test_a_schedule_waits_for_a_slot_of_its_customer(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(PARALLEL, endpoint=spot.url)
    await client.call("PATCH", f"/v1/customers/{made.customer['id']}", json={"max_running": 1})
    spot.hold("/begin")
    first = await client.delivered(made.url("one"), json={"id": 1})
    await spot.until_called("/begin")
    flow_id = made.flows["timed"]["id"]
    await (await stack.temporal_client()).get_schedule_handle(f"schedule-{flow_id}").trigger()
    fired = await first_of(client, flow_id)
    waiting = await client.wait_for(fired, "queued")
    assert (waiting["reason"], waiting["attempt"]) == ("customer_limit", 0)
    spot.release()
    for each in (first, fired):
        await client.wait_for(each, "succeeded")
    assert most_at_once(spot) == 1
