"""What waits for its next attempt is changed, on the whole stack, whoever is killed meanwhile."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.client import Client, Json
from tests.e2e.definitions import call
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = "{retries: 3, delay: 10m}"


async def waiting(client: Client, spot: Spot, retry: str = LONG) -> tuple[str, str]:
    """An instance, and its execution whose first attempt has failed."""
    spot.script("/post", Answer(503), Answer(200))
    made = await client.provision(call(retry=retry), endpoint=spot.url)
    execution_id = await client.delivered(made.url("call"), json={"id": 1})
    await client.wait_for(execution_id, "retrying")
    return made.id, execution_id


async def edit(client: Client, execution_id: str, **changes: object) -> Json:
    answer: Json = await client.call("PATCH", f"/v1/executions/{execution_id}", json=changes)
    return answer


def inside(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


async def all_runs(stack: Stack, execution_id: str) -> Counter[str]:
    client = await stack.temporal_client()
    found: Counter[str] = Counter()
    async for run in client.list_workflows(f"WorkflowId = '{execution_id}'"):
        found[run.status.name if run.status else ""] += 1
    return found


async def test_the_next_attempt_is_made_now(client: Client, spot: Spot) -> None:
    _, execution_id = await waiting(client, spot)
    await client.call("POST", f"/v1/executions/{execution_id}/retry_now")
    done = await client.wait_for(execution_id, "succeeded", timeout=8)
    assert (done["attempt"], done["max_attempts"], done["next_attempt_at"]) == (2, 4, None)
    assert [each.key for each in spot.calls] == [f"{execution_id}:post"] * 2
    assert [(step["attempt"], step["status"]) for step in done["steps"]] == [(1, "failed"), (2, "succeeded")]


async def test_the_next_attempt_is_put_off(client: Client, spot: Spot) -> None:
    _, execution_id = await waiting(client, spot, "{retries: 3, delay: 2s}")
    at = inside(6)
    shown = await edit(client, execution_id, next_attempt_at=at)
    assert datetime.fromisoformat(shown["next_attempt_at"]) == datetime.fromisoformat(at)
    await asyncio.sleep(3.5)
    assert ((await client.execution(execution_id))["status"], len(spot.calls)) == ("retrying", 1)
    await client.wait_for(execution_id, "succeeded", timeout=15)
    assert datetime.now(UTC) >= datetime.fromisoformat(at)
    assert len(spot.calls) == 2


async def test_what_is_put_off_is_canceled_at_once(client: Client, spot: Spot) -> None:
    _, execution_id = await waiting(client, spot)
    await edit(client, execution_id, next_attempt_at=inside(3600))
    await client.call("POST", f"/v1/executions/{execution_id}/cancel", expect=202)
    await client.wait_for(execution_id, "canceled", timeout=8)
    assert len(spot.calls) == 1


async def test_the_remaining_retries_are_as_many_as_was_said(client: Client, spot: Spot) -> None:
    _, last = await waiting(client, spot)
    spot.script("/post", Answer(503))
    shown = await edit(client, last, retries_left=0, next_attempt_at=inside(0))
    assert (shown["attempt"], shown["max_attempts"]) == (1, 2)
    assert (await client.wait_for(last, "failed", timeout=10))["attempt"] == 2

    _, more = await waiting(client, spot, "{retries: 1, delay: 1s}")
    spot.script("/post", Answer(503), Answer(503), Answer(200))
    await edit(client, more, retries_left=5, next_attempt_at=inside(1))
    done = await client.wait_for(more, "succeeded", timeout=20)
    assert (done["attempt"], done["max_attempts"]) == (4, 7)


async def test_the_next_attempt_runs_on_what_is_deployed_now(client: Client, spot: Spot) -> None:
    instance_id, execution_id = await waiting(client, spot)
    await client.configure(instance_id, {"endpoint": f"{spot.url}/other"})
    await client.deploy(instance_id)
    before = (await client.execution(execution_id))["deployment_id"]
    shown = await edit(client, execution_id, deployment_id="current", next_attempt_at=inside(0))
    assert shown["deployment_id"] != before
    await client.wait_for(execution_id, "succeeded", timeout=10)
    assert [each.path for each in spot.calls] == ["/post", "/other/post"]


async def test_a_change_without_temporal_counts_once_it_is_back(stack: Stack, client: Client, spot: Spot) -> None:
    _, execution_id = await waiting(client, spot)
    stack.temporal.kill()
    await edit(client, execution_id, next_attempt_at=inside(0), retries_left=0)
    await stack.heal()
    done = await client.wait_for(execution_id, "succeeded", timeout=60)
    assert (done["attempt"], done["max_attempts"], len(spot.calls)) == (2, 2, 2)


async def test_an_api_killed_between_ledger_and_temporal_leaves_it_to_upkeep(
    stack: Stack, client: Client, spot: Spot
) -> None:
    """The old delay is short: what was begun before the change must not go on, though nobody has ended it."""
    _, execution_id = await waiting(client, spot, "{retries: 3, delay: 3s}")
    stack.kill_workers()
    stack.temporal.kill()
    at = inside(25)
    await edit(client, execution_id, next_attempt_at=at, retries_left=0)
    stack.kill_apis()
    await stack.heal()
    done = await client.wait_for(execution_id, "succeeded", timeout=90)
    assert (done["attempt"], done["max_attempts"], len(spot.calls)) == (2, 2, 2)
    second = next(step for step in done["steps"] if step["attempt"] == 2)
    assert datetime.fromisoformat(second["started_at"]) >= datetime.fromisoformat(at)
    assert (await all_runs(stack, execution_id))["RUNNING"] == 0


async def test_changes_at_once_come_to_one_next_attempt(stack: Stack, client: Client, spot: Spot) -> None:
    _, execution_id = await waiting(client, spot)
    await asyncio.gather(*(edit(client, execution_id, retries_left=number) for number in range(6)))
    assert (await all_runs(stack, execution_id))["RUNNING"] <= 1
    await client.call("POST", f"/v1/executions/{execution_id}/retry_now")
    done = await client.wait_for(execution_id, "succeeded", timeout=60)
    assert (done["attempt"], len(spot.calls)) == (2, 2)
