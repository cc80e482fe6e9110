"""Deploys and deletes with something killed in the middle: they go on where they were."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import func, select

from store.engine import Database
from store.removal import STAY
from store.tables import Base
from tests.e2e.client import Client, Json, Provision
from tests.e2e.target import Spot
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

MOMENTS = (0.02, 0.1)  # seconds after the request in which the worker dies
NAMES = {"tombstones", "jobs", *STAY}  # what says who did what to which ids
BUSY = """\
schema: flowgraft/v1
key: KEY
name: Busy KEY
config:
  - page: Options
    fields:
      - {key: endpoint, type: string}
      - {key: every, type: schedule, default: {cron: "0 0 1 1 *", time_zone: Europe/Berlin}}
      - {key: password, type: string, secret: true, default: only-for-this-test}
flows:
  - key: hello
    trigger: {type: deploy}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/deployed", json: {}}}]
  - key: goodbye
    trigger: {type: remove}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/removed", json: {}}}]
  - key: beat
    trigger: {type: schedule, from: every}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/beat", json: {}}}]
  - key: in
    trigger: {type: webhook}
    concurrency: {mode: sequential}
    steps: [{key: post, action: http.post, inputs: {url: "{{ config.endpoint }}/in", json: {}}}]
"""


async def test_deploy_whose_worker_is_killed_stands_whenever_that_was(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(BUSY, endpoint=spot.url)
    await spot.until_called("/deployed")
    for moment in MOMENTS:
        await client.configure(made.id, {"every": {"cron": f"{MOMENTS.index(moment)} 1 1 1 *"}})
        deploying = asyncio.create_task(client.http.post(f"/v1/instances/{made.id}/deploy"))
        await asyncio.sleep(moment)
        stack.kill_workers()
        stack.start_workers()
        answer = (await deploying).json()  # a deploy, or after 30 s the job
        job = await client.wait_for_job(answer.get("job_id") or answer["id"])
        assert job["state"] == "succeeded", job
        assert [each["status"] for each in job["result"]["deploy_executions"]] == ["succeeded"]
        instance = await client.call("GET", f"/v1/instances/{made.id}")
        assert (instance["needs_deploy"], instance["deployed_version"]) == (False, 1)
        flows = await client.flows(made.id)
        assert flows["in"]["webhook_url"] == made.url("in")
        schedule = (await stack.temporal_client()).get_schedule_handle(f"schedule-{flows['beat']['id']}")
        minutes = (await schedule.describe()).schedule.spec.calendars[0].minute
        assert [each.start for each in minutes] == [MOMENTS.index(moment)]
    keys = Counter(call.key for call in spot.called("/deployed"))
    assert len(keys) == 1 + len(MOMENTS)  # one execution a deploy; a step that was under way is repeated under its key


async def test_deploy_while_another_one_is_under_way_is_refused(stack: Stack, client: Client, spot: Spot) -> None:
    made = await client.provision(BUSY, endpoint=spot.url)
    stack.kill_workers()  # so that the first one is under way until somebody works
    both = {asyncio.create_task(client.http.post(f"/v1/instances/{made.id}/deploy")) for _ in range(2)}
    (refused,), (other,) = await asyncio.wait(both, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    assert (refused.result().status_code, refused.result().json()["code"]) == (409, "deploy_in_progress")
    stack.start_workers()
    assert (await other).status_code == 200
    assert (await client.deploy(made.id))["version"] == 1


async def test_delete_whose_worker_is_killed_again_and_again_leaves_nothing(
    stack: Stack, client: Client, spot: Spot
) -> None:
    made = await client.provision(BUSY, endpoint=spot.url)
    spot.hold("/in")
    spot.hold("/removed")
    executions = [await client.delivered(made.url("in"), json={"id": number}) for number in range(5)]
    await spot.until_called("/in")
    deleting = await client.call(
        "DELETE", f"/v1/instances/{made.id}", expect=202, params={"confirm_name": made.instance["name"]}
    )
    await spot.until_called("/removed")
    for _ in range(2):  # in the remove flow, then in whatever is next
        stack.kill_workers()
        spot.release()
        stack.start_workers()
        await _next_stage(client, deleting["job_id"])
    job = await client.wait_for_job(deleting["job_id"], timeout=60)
    assert (job["state"], job["error"]) == ("succeeded", None)
    assert job["result"]["removed"]["executions"] >= len(executions)
    assert (await client.deliver(made.url("in"), expect=410))["code"] == "gone"
    assert await _left(stack, made, executions) == Counter()
    audit = await client.all_of("/v1/audit", object_id=made.id)
    assert "instance.deleted" in [each["action"] for each in audit]
    assert len({call.key for call in spot.called("/removed")}) == 1


@pytest.mark.parametrize("under_way", [False, True], ids=["before it begins", "in its remove flow"])
async def test_delete_without_temporal_goes_on_once_it_is_back(
    stack: Stack, client: Client, spot: Spot, under_way: bool
) -> None:
    made = await client.provision(BUSY, endpoint=spot.url)
    execution_id = await client.delivered(made.url("in"), json={"id": 1})
    await client.wait_for(execution_id, "succeeded")
    spot.hold("/removed")
    if not under_way:
        stack.temporal.kill()
    deleting = await client.call(
        "DELETE", f"/v1/instances/{made.id}", expect=202, params={"confirm_name": made.instance["name"]}
    )
    assert (await client.deliver(made.url("in"), expect=410))["code"] == "gone"
    if under_way:
        await spot.until_called("/removed")
        stack.temporal.kill()
    spot.release()
    await stack.heal()
    job = await client.wait_for_job(deleting["job_id"], timeout=90)
    assert (job["state"], job["error"]) == ("succeeded", None)
    assert await _left(stack, made, [execution_id]) == Counter()
    assert len({call.key for call in spot.called("/removed")}) == 1


async def _next_stage(client: Client, job_id: str) -> Json:
    """Until the job is somewhere else than it was, or done."""
    before: Json = await client.call("GET", f"/v1/jobs/{job_id}")
    async with asyncio.timeout(45):
        while (job := await client.call("GET", f"/v1/jobs/{job_id}"))["stage"] == before["stage"] != "done":
            await asyncio.sleep(0.02)
    return dict(job)


async def _left(stack: Stack, made: Provision, executions: list[str]) -> Counter[str]:
    """Rows that name the instance, its flows or its executions, by table; and large values of its workflows."""
    ids = [made.id, *executions, *(flow["id"] for flow in made.flows.values())]
    found: Counter[str] = Counter()
    database = Database(stack.database_url)
    try:
        async with database.snapshot() as session:
            for name, table in Base.metadata.tables.items():
                named: list[Any] = [column.in_(ids) for column in table.c if column.type.python_type is str]
                for condition in named if name not in NAMES else []:
                    found[name] += await session.scalar(select(func.count()).select_from(table).where(condition)) or 0
    finally:
        await database.dispose()
    return +found
