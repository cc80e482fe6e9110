"""Versions and upgrades of real instances: what runs on which version, and a worker killed in the middle."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.e2e.client import Client, Json, Provision
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNTING = """\
schema: flowgraft/v1
key: KEY
name: Counting KEY
config:
  - {page: Connect, fields: [{key: endpoint, type: string}]}
flows:
  - key: in
    trigger: {type: webhook}
    steps:
      - {key: wait, action: http.post, inputs: {url: "{{ config.endpoint }}/wait", json: {}}}
      - {key: seen, action: state.increment, inputs: {key: seen}}
      - {key: tell, action: http.post, inputs: {url: "{{ config.endpoint }}/one", json: {seen: "{{ steps.seen }}"}}}
  - key: hello
    trigger: {type: deploy}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/deployed", json: {v: 1}}}]
"""
NEXT = COUNTING.replace("/one", "/two").replace("{v: 1}", "{v: 2}")
CANARY = {"rings": [{"count": 1}, {"percent": 100}], "min_executions": 2, "stop_at_failure_percent": 50}


async def publish(client: Client, integration: Json, text: str) -> Json:
    await client.integration(text.replace("KEY", integration["key"]), expect=200)
    return await client.publish(integration["id"])


async def fleet(client: Client, spot: Spot, size: int) -> list[Provision]:
    """Instances of one integration, deployed, each of a customer of its own."""
    first = await client.provision(COUNTING, endpoint=spot.url)
    made = [first]
    for _ in range(size - 1):
        customer = await client.customer()
        instance = await client.instance(customer, first.integration, config={"endpoint": spot.url})
        await client.deploy(instance["id"])
        flows = await client.flows(instance["id"])
        made.append(Provision(customer, first.integration, first.version, instance, flows))
    await spot.until_called("/deployed", size)
    return made


async def upgrade(client: Client, integration: Json, **body: Any) -> Json:
    answer: Json = await client.call("POST", f"/v1/integrations/{integration['id']}/upgrade", expect=202, json=body)
    return answer


async def until(client: Client, upgrade_id: str, timeout: float = 60.0, **wanted: Any) -> Json:
    """The upgrade, once it is as wanted: `succeeded=2` at least two."""
    async with asyncio.timeout(timeout):
        while True:
            shown: Json = await client.call("GET", f"/v1/upgrades/{upgrade_id}")
            if all(
                shown[name] >= value if isinstance(value, int) else shown[name] == value
                for name, value in wanted.items()
            ):
                return shown
            await asyncio.sleep(0.1)


async def versions_of(client: Client, made: list[Provision]) -> list[int]:
    shown = [await client.call("GET", f"/v1/instances/{each.id}") for each in made]
    assert all(each["version"]["number"] == each["deployed_version"] for each in shown)
    return [each["deployed_version"] for each in shown]


async def test_an_execution_keeps_the_deployment_it_was_accepted_with(client: Client, spot: Spot) -> None:
    made = await client.provision(COUNTING, endpoint=spot.url)
    spot.hold("/wait")
    running = await client.delivered(made.url("in"))
    await spot.until_called("/wait")
    second = await publish(client, made.integration, NEXT)
    await client.call("PATCH", f"/v1/instances/{made.id}", json={"version_id": second["id"]})
    assert (await client.deploy(made.id))["version"] == 2
    spot.release()
    old = await client.wait_for(running, "succeeded")
    new = await client.wait_for(await client.delivered(made.url("in")), "succeeded")
    assert [execution["version"]["number"] for execution in (old, new)] == [1, 2]
    assert ([call.body for call in spot.called("/one")], [call.body for call in spot.called("/two")]) == (
        [b'{"seen":1}'],
        [b'{"seen":2}'],  # the flow's state has followed its key
    )


async def test_a_killed_worker_upgrades_every_instance_once(stack: Stack, client: Client, spot: Spot) -> None:
    made = await fleet(client, spot, 6)
    await publish(client, made[0].integration, NEXT)
    started = await upgrade(client, made[0].integration, rate_per_second=4)
    await until(client, started["id"], succeeded=2)
    stack.kill_workers()
    assert (await client.call("GET", f"/v1/upgrades/{started['id']}"))["succeeded"] < 6
    stack.start_workers()
    shown = await until(client, started["id"], state="succeeded")
    assert (shown["succeeded"], shown["failed"], shown["done"]) == (6, 0, 6)
    assert await versions_of(client, made) == [2] * 6
    await spot.until_called("/deployed", 12)
    for each in made:
        events = await client.all_of(f"/v1/instances/{each.id}/events")
        told = Counter((event["action"], event["details"].get("version")) for event in events)
        assert (told["instance.deployed", 2], told["instance.upgraded", 2]) == (1, 1)
    items = await client.all_of(f"/v1/upgrades/{started['id']}/items")
    assert len({item["deployment_id"] for item in items}) == 6
    for each in made:
        await client.wait_for(await client.delivered(each.url("in")), "succeeded")
    assert len(spot.called("/two")) == 6
    await asyncio.sleep(0.5)
    assert len({call.key for call in spot.called("/deployed")}) == 12


async def test_a_failing_version_is_rolled_back_in_its_first_ring(client: Client, spot: Spot) -> None:
    made = await fleet(client, spot, 3)
    await publish(client, made[0].integration, NEXT)
    spot.script("/two", Answer(400))
    started = await upgrade(client, made[0].integration, watch_seconds=60, **CANARY)
    await until(client, started["id"], succeeded=1, stage="watching")
    assert await versions_of(client, made) == [2, 1, 1]
    for _ in range(2):
        await client.wait_for(await client.delivered(made[0].url("in")), "failed")
    shown = await until(client, started["id"], state="failed")
    assert (shown["stage"], shown["rolled_back"], shown["skipped"]) == ("rolled_back", 1, 2)
    assert (shown["error"]["code"], shown["observed"]) == (
        "failure_rate_exceeded",
        {"ended": 3, "failed": 2, "percent": 66.7},  # the flow that ran on deploy is one of them
    )
    assert await versions_of(client, made) == [1, 1, 1]
    await client.wait_for(await client.delivered(made[0].url("in")), "succeeded")
    assert (await client.wait_for_job(started["id"]))["error"] == shown["error"]


async def test_a_version_that_does_well_goes_to_all_rings(client: Client, spot: Spot) -> None:
    made = await fleet(client, spot, 3)
    await publish(client, made[0].integration, NEXT)
    started = await upgrade(client, made[0].integration, watch_seconds=1, **CANARY)
    shown = await until(client, started["id"], state="succeeded")
    assert (shown["succeeded"], shown["rings"]) == (3, [{"number": 1, "up_to": 1}, {"number": 2, "up_to": 3}])
    assert await versions_of(client, made) == [2, 2, 2]


async def test_an_upgrade_without_temporal_begins_when_it_is_back(stack: Stack, client: Client, spot: Spot) -> None:
    made = await fleet(client, spot, 2)
    await publish(client, made[0].integration, NEXT)
    stack.temporal.kill()
    started = await upgrade(client, made[0].integration)
    assert (started["state"], started["stage"]) == ("running", "queued")
    await stack.heal()
    await until(client, started["id"], state="succeeded")
    assert await versions_of(client, made) == [2, 2]


async def test_a_terminated_upgrade_can_be_aborted(stack: Stack, client: Client, spot: Spot) -> None:
    made = await fleet(client, spot, 2)
    await publish(client, made[0].integration, NEXT)
    started = await upgrade(client, made[0].integration, rate_per_second=0.01)
    await until(client, started["id"], succeeded=1)
    await (await stack.temporal_client()).get_workflow_handle(started["id"]).terminate("by hand")
    await client.call("POST", f"/v1/upgrades/{started['id']}/abort")
    shown = await until(client, started["id"], state="aborted")
    assert (shown["succeeded"], shown["skipped"]) == (1, 1)
    [left] = await client.all_of(f"/v1/upgrades/{started['id']}/items", status="skipped")
    assert left["reason"] == "aborted"
