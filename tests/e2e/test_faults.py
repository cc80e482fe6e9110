"""What is killed in the middle: nothing accepted is lost, nothing is done twice under another key."""

import asyncio
import logging
from collections import Counter
from time import perf_counter

import pytest

from tests.e2e.client import Client, fresh
from tests.e2e.conftest import connected
from tests.e2e.definitions import THREE, call
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

BURST = 200
measured = logging.getLogger("measured")  # shown with --log-cli-level=INFO


@pytest.mark.parametrize("known_as_short", [False, True])
async def test_a_killed_worker_repeats_only_what_was_under_way(
    stack: Stack, client: Client, spot: Spot, known_as_short: bool
) -> None:
    """Steps known to be short run inside the workflow task, the others as activities."""
    made = await client.provision(THREE, endpoint=spot.url)
    if known_as_short:
        await client.wait_for(await client.delivered(made.url("three")), "succeeded")
    earlier = len(spot.calls)
    spot.hold("/second")
    execution_id = await client.delivered(made.url("three"))
    await spot.until_called("/second", times=2 if known_as_short else 1)
    stack.kill_workers()
    spot.release()
    await asyncio.sleep(0.5)
    assert (await client.execution(execution_id))["status"] == "running"

    stack.start_workers()
    began = perf_counter()
    execution = await client.wait_for(execution_id, "succeeded")
    measured.info("worker killed in a step: done %.1f s after its restart", perf_counter() - began)
    assert perf_counter() - began < 15
    assert Counter(call.key for call in spot.calls[earlier:]) == {
        f"{execution_id}:first": 1,
        f"{execution_id}:second": 2,
        f"{execution_id}:third": 1,
    }
    assert [(step["path"], step["tries"], step["attempt"]) for step in execution["steps"]] == [
        ("first", 1, 1),
        ("second", 1, 1),
        ("third", 1, 1),
    ]


async def test_webhooks_are_accepted_while_temporal_is_away(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    url = made.url("call")
    stack.temporal.kill()
    began = perf_counter()
    ids = await asyncio.gather(*(client.delivered(url, json={"id": number}) for number in range(BURST)))
    measured.info("%d webhooks without Temporal: accepted in %.1f s", BURST, perf_counter() - began)
    assert len(set(ids)) == BURST
    assert (await client.call("GET", "/readyz"))["status"] == "degraded"

    await stack.temporal.start()
    began = perf_counter()
    await _until_succeeded(client, made.id, BURST, timeout=60)
    measured.info("Temporal is back: all %d done after %.1f s", BURST, perf_counter() - began)
    assert {execution["id"] for execution in await client.executions(instance_id=made.id)} == set(ids)
    assert Counter(call.key for call in spot.calls) == {f"{execution_id}:post": 1 for execution_id in ids}
    assert await _booked(client, made.customer["id"]) == (BURST, 0)


async def test_an_api_killed_between_acceptance_and_start_loses_nothing(
    stack: Stack, client: Client, spot: Spot
) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    stack.temporal.kill()
    execution_id = await client.delivered(made.url("call"), json={"id": 1})
    stack.kill_apis()
    await stack.heal()
    assert (await client.execution(execution_id))["status"] in ("queued", "running", "succeeded")
    await client.wait_for(execution_id, "succeeded", timeout=40)
    assert [call.key for call in spot.calls] == [f"{execution_id}:post"]
    assert await _booked(client, made.customer["id"]) == (1, 0)


async def test_concurrent_deliveries_of_one_key_are_one_execution(client: Client, spot: Spot) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    headers = {"Idempotency-Key": fresh("key")}
    responses = await asyncio.gather(
        *(client.http.post(made.url("call"), json={"id": number}, headers=headers) for number in range(20))
    )
    assert {response.status_code for response in responses} == {202}
    execution_ids = {response.json()["execution_id"] for response in responses}
    assert len(execution_ids) == 1
    assert Counter(response.json()["duplicate"] for response in responses) == {True: 19, False: 1}
    replayed = [response.headers.get("Idempotent-Replayed") for response in responses if response.json()["duplicate"]]
    assert replayed == ["true"] * 19
    await client.wait_for(execution_ids.pop(), "succeeded")
    assert len(await client.executions(instance_id=made.id)) == 1
    assert len(spot.calls) == 1
    warnings = await client.all_of("/v1/logs", instance_id=made.id, severity="warn", q="another body")
    assert len(warnings) == 19


async def test_a_workflow_terminated_in_temporal_is_failed_in_the_ledger(
    stack: Stack, client: Client, spot: Spot
) -> None:
    spot.hold("/post")
    made = await client.provision(call(retry="{retries: 3, delay: 1s}"), endpoint=spot.url)
    execution_id = await client.delivered(made.url("call"), json={"id": 1})
    await spot.until_called("/post")
    await (await stack.temporal_client()).get_workflow_handle(execution_id).terminate("by hand")
    began = perf_counter()
    execution = await client.wait_for(execution_id, "failed", timeout=60)
    measured.info("terminated by hand: the ledger said so after %.1f s", perf_counter() - began)
    assert execution["error"]["code"] == "terminated"
    assert execution["ended_at"] is not None
    assert (await client.flows(made.id))["call"]["in_failed_state"] is True


async def test_a_step_is_tried_again_within_its_attempt(client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(500), Answer(500), Answer(200))
    made = await client.provision(call(on_error="{retries: 3, delay: 500ms}"), endpoint=spot.url)
    execution_id = await client.delivered(made.url("call"), json={"id": 1})
    execution = await client.wait_for(execution_id, "succeeded")
    assert [(step["tries"], step["attempt"], step["error"]) for step in execution["steps"]] == [(3, 1, None)]
    assert [call.key for call in spot.calls] == [f"{execution_id}:post"] * 3


@pytest.mark.parametrize("part", ["worker", "temporal", "api"])
async def test_whatever_is_killed_in_the_back_off_the_next_attempt_is_made_once(
    stack: Stack, client: Client, spot: Spot, part: str
) -> None:
    """Dead when the next attempt is due, it is made late, never twice."""
    spot.script("/post", Answer(503), Answer(200))
    made = await client.provision(call(retry="{retries: 3, delay: 2s}"), endpoint=spot.url)
    execution_id = await client.delivered(made.url("call"), json={"id": 1})
    waiting = await client.wait_for(execution_id, "retrying")
    assert (waiting["attempt"], waiting["max_attempts"], waiting["next_attempt_at"] is not None) == (1, 4, True)
    stack.kill(part)
    await asyncio.sleep(3)
    await stack.heal()
    done = await client.wait_for(execution_id, "succeeded", timeout=60)
    assert (done["attempt"], done["next_attempt_at"]) == (2, None)
    assert [each.key for each in spot.calls] == [f"{execution_id}:post"] * 2
    assert await _booked(client, made.customer["id"]) == (1, 0)


async def test_a_deploy_without_temporal_changes_nothing(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    await client.configure(made.id, {"endpoint": f"{spot.url}/other"})
    stack.temporal.kill()
    async with connected(stack) as http:
        refused = await http.post(f"/v1/instances/{made.id}/deploy")
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    shown = await client.call("GET", f"/v1/instances/{made.id}")
    assert (shown["needs_deploy"], shown["deployed_at"]) == (True, made.instance["deployed_at"])
    await stack.heal()
    assert (await client.deploy(made.id))["version"] == 1


async def test_the_books_balance_after_every_fault(client: Client) -> None:
    """Whatever was killed in the tests before: what was accepted is ended, in flight or held."""
    books = await client.all_of("/v1/conservation")
    assert [each for each in books if each["imbalance"]] == []
    accepted: Counter[str] = Counter()
    for each in books:
        accepted[each["customer"]["id"]] += each["accepted"]
    listed = Counter(execution["customer"]["id"] for execution in await client.executions())
    assert listed <= accepted  # of what is deleted, the rows are gone


async def _booked(client: Client, customer_id: str) -> tuple[int, int]:
    """What was accepted of a customer, and what is missing of it."""
    books = await client.all_of("/v1/conservation", customer_id=customer_id)
    return sum(each["accepted"] for each in books), sum(abs(each["imbalance"]) for each in books)


async def _until_succeeded(client: Client, instance_id: str, wanted: int, timeout: float) -> None:
    deadline = asyncio.get_running_loop().time() + timeout
    while (done := len(await client.executions(instance_id=instance_id, status="succeeded"))) < wanted:
        assert asyncio.get_running_loop().time() < deadline, f"{done} of {wanted} after {timeout:g} s"
        await asyncio.sleep(0.2)
