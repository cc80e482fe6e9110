"""What an instance lives through: deploys, pauses, tests, schedules, its own deploy and remove flows, its end."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client as TemporalClient
from temporalio.client import ScheduleOverlapPolicy
from temporalio.service import RPCError, RPCStatusCode

from tests.e2e.client import Client, Json, Provision
from tests.e2e.definitions import LIFE, call
from tests.e2e.target import Answer, Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_deploy_runs_the_deploy_flow_and_keeps_the_urls(client: Client, spot: Spot) -> None:
    made = await client.provision(LIFE, endpoint=spot.url)
    await spot.until_called("/deployed", 1)
    again = await client.deploy(made.id)
    assert again["webhook_urls"] == {"in": made.url("in")}
    assert len(again["deploy_executions"]) == 1
    execution = await client.wait_for(again["deploy_executions"][0], "succeeded")
    assert (execution["trigger"], execution["flow"]["key"]) == ("deploy", "hello")
    assert len(spot.called("/deployed")) == 2


async def test_a_failing_deploy_flow_does_not_undo_the_deploy(client: Client, spot: Spot) -> None:
    spot.script("/deployed", Answer(400))
    made = await client.provision(LIFE, endpoint=spot.url)
    assert made.instance["deployed"] is True
    await client.wait_for(await client.delivered(made.url("in")), "succeeded")


async def test_a_paused_instance_refuses_webhooks_and_still_runs_tests(client: Client, spot: Spot) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    paused = await client.call("POST", f"/v1/instances/{made.id}/pause", json={"note": "Moving"})
    assert (paused["enabled"], paused["pause_note"]) == (False, "Moving")
    assert (await client.deliver(made.url("call"), expect=409))["code"] == "instance_paused"
    refused, *done = await client.all_of("/v1/logs", instance_id=made.id)
    assert (refused["type"], refused["severity"]) == ("management", "warn")
    assert [line["message"].split(" by ")[0] for line in done] == [
        "Instance paused",
        "Instance deployed",
        "Instance configured",
        "Instance created",
    ]

    flow = made.flows["call"]["id"]
    accepted = await client.call("POST", f"/v1/flows/{flow}/test", expect=202, json={"body": {"id": 5}})
    tested = await client.wait_for(accepted["execution_id"], "succeeded")
    assert (tested["is_test"], tested["trigger"]) == (True, "webhook")
    assert [each["id"] for each in await client.executions(flow_id=flow, is_test="true")] == [tested["id"]]

    assert (await client.call("POST", f"/v1/instances/{made.id}/unpause"))["enabled"] is True
    await client.wait_for(await client.delivered(made.url("call")), "succeeded")


async def test_a_schedule_fires_and_stands_still_while_paused(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(LIFE, endpoint=spot.url)
    flow = made.flows["beat"]
    assert flow["schedule"] == {"cron": "0 0 1 1 *", "time_zone": "Europe/Berlin"}
    assert len(flow["next_runs"]) == 3
    schedule = (await stack.temporal_client()).get_schedule_handle(f"schedule-{flow['id']}")

    await schedule.trigger(overlap=ScheduleOverlapPolicy.ALLOW_ALL)
    execution = await _only_execution(client, flow["id"])
    execution = await client.wait_for(execution["id"], "succeeded")
    assert (execution["trigger"], execution["version"]["id"]) == ("schedule", made.version["id"])
    assert execution["temporal"]["workflow_id"].startswith(f"schedule-{flow['id']}-")
    assert [call.key for call in spot.called("/beat")] == [f"{execution['id']}:post"]
    assert (await client.call("GET", f"/v1/executions/{execution['id']}/payload"))["size"] == 0

    await client.call("POST", f"/v1/instances/{made.id}/pause")
    assert (await schedule.describe()).schedule.state.paused is True
    assert (await client.flows(made.id))["beat"]["next_runs"] == []
    await client.call("POST", f"/v1/instances/{made.id}/unpause")
    assert (await schedule.describe()).schedule.state.paused is False


async def test_a_fire_that_overlaps_is_skipped_visibly(stack: Stack, client: Client, spot: Spot) -> None:
    spot.hold("/beat")
    made = await client.provision(LIFE, endpoint=spot.url)
    flow = made.flows["beat"]["id"]
    schedule = (await stack.temporal_client()).get_schedule_handle(f"schedule-{flow}")
    await schedule.trigger()
    await spot.until_called("/beat")
    await asyncio.sleep(1.1)  # two triggers within one second would be one
    await schedule.trigger()
    async with asyncio.timeout(30):
        while not (skipped := await client.executions(flow_id=flow, status="skipped")):
            await asyncio.sleep(0.05)
    assert (skipped[0]["reason"], skipped[0]["attempt"]) == ("overlap", 0)
    (running,) = await client.executions(flow_id=flow, status="running")
    spot.release()
    await client.wait_for(running["id"], "succeeded")


async def test_delete_removes_everything_and_says_gone(stack: Stack, client: Client, spot: Spot) -> None:
    spot.hold("/in")
    made = await client.provision(LIFE, endpoint=spot.url)
    open_one = await client.delivered(made.url("in"))
    await spot.until_called("/in")
    refused = await client.call("DELETE", f"/v1/instances/{made.id}?confirm_name=wrong", expect=422)
    assert refused["code"] == "name_mismatch"
    assert (await client.execution(open_one))["status"] == "running"

    deleting = await _delete(client, made)
    assert (deleting["id"], deleting["state"]) == (made.id, "deleting")
    assert (await client.deliver(made.url("in"), expect=410))["code"] == "gone"
    job = await client.wait_for_job(deleting["job_id"], timeout=60)
    assert (job["state"], job["error"]) == ("succeeded", None)

    assert (await client.deliver(made.url("in"), expect=410))["code"] == "gone"
    await client.call("GET", f"/v1/instances/{made.id}", expect=404)
    await client.call("GET", f"/v1/executions/{open_one}", expect=404)
    assert await client.all_of("/v1/logs", instance_id=made.id) == []
    assert len(spot.called("/removed")) == 1
    await _until_gone(await stack.temporal_client(), made, open_one)


async def _delete(client: Client, made: Provision) -> Json:
    answer: Json = await client.call(
        "DELETE", f"/v1/instances/{made.id}", expect=202, params={"confirm_name": made.instance["name"]}
    )
    return answer


async def _only_execution(client: Client, flow_id: str) -> Json:
    async with asyncio.timeout(30):
        while not (found := await client.executions(flow_id=flow_id)):
            await asyncio.sleep(0.05)
    assert len(found) == 1
    return found[0]


async def _until_gone(temporal: TemporalClient, made: Provision, execution_id: str) -> None:
    """Temporal deletes a history once its queues have noted the close on disk, which they do every 30 s or so; one that
    has just lost its database, as in a cluster under faults, takes longer."""
    schedule = temporal.get_schedule_handle(f"schedule-{made.flows['beat']['id']}")
    await _refused(schedule.describe)
    deadline = asyncio.get_running_loop().time() + 150
    while left := [each async for each in temporal.list_workflows(f"InstanceId = '{made.id}'")]:
        late = asyncio.get_running_loop().time() > deadline
        assert not late, [(each.id, each.workflow_type, each.status) for each in left]
        await asyncio.sleep(0.1)
    await _refused(temporal.get_workflow_handle(execution_id).describe)


async def _refused(describe: Any) -> None:
    with pytest.raises(RPCError) as refusal:
        await describe()
    assert refusal.value.status == RPCStatusCode.NOT_FOUND
