import httpx2
import pytest
from fastapi import FastAPI

from domain.errors import Conflict
from domain.messages import DeployResult
from store.instance_flows import InstanceFlows
from store.jobs import Jobs
from store.tables import InstanceRow
from tests.api.setup import make_instance, pointers, read
from tests.fakes_gateway import FakeGateway

DEPLOYED = DeployResult("dep_1", 1, {"order-created": "http://x.test/hooks/abc"}, ["exec_1"])


async def test_deploy_answers_what_was_accepted(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    instance = await make_instance(client)
    gateway.deployed = DEPLOYED
    response = await client.post(f"/v1/instances/{instance['id']}/deploy")
    assert response.status_code == 200
    assert response.json() == {
        "deployment_id": "dep_1",
        "version": 1,
        "webhook_urls": {"order-created": "http://x.test/hooks/abc"},
        "deploy_executions": ["exec_1"],
        "job_id": gateway.deploys[0].job_id,
    }
    [message] = gateway.deploys
    assert (message.instance_id, message.job_id[:4], message.principal) == (instance["id"], "job_", "bootstrap")


async def test_deploy_that_takes_longer_is_a_job(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    instance = await make_instance(client)
    response = await client.post(f"/v1/instances/{instance['id']}/deploy")
    assert response.status_code == 202
    job_id = gateway.deploys[0].job_id
    assert response.headers["location"] == f"/v1/jobs/{job_id}"
    job = response.json()
    assert (job["id"], job["state"], job["stage"]) == (job_id, "running", "validating")
    assert [each["stage"] for each in job["stages"]] == ["validating"]
    assert await read(client, f"/v1/jobs/{job_id}") == response.json()


async def test_deploy_of_an_unconfigured_instance_is_refused_per_value(
    client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    instance = await make_instance(client, config={})
    response = await client.post(f"/v1/instances/{instance['id']}/deploy")
    assert pointers(response) == {"#/config/shop": "missing"}
    assert response.json()["code"] == "config_invalid"
    assert gateway.deploys == []


async def test_deploy_while_temporal_is_away_changes_nothing(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    instance = await make_instance(client)
    gateway.away = True
    headers = {"Idempotency-Key": "deploy-it"}
    path = f"/v1/instances/{instance['id']}"
    response = await client.post(f"{path}/deploy", headers=headers)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert "retry-after" in response.headers
    assert await read(client, path) == instance
    gateway.away, gateway.deployed = False, DEPLOYED
    assert (await client.post(f"{path}/deploy", headers=headers)).status_code == 200
    assert (await client.post(f"{path}/deploy", headers=headers)).headers["idempotent-replayed"] == "true"
    assert len(gateway.deploys) == 1


async def test_second_deploy_at_once_is_a_conflict(client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    instance = await make_instance(client)
    gateway.deployed = Conflict("Another deploy is under way.", code="deploy_in_progress")
    response = await client.post(f"/v1/instances/{instance['id']}/deploy")
    assert (response.status_code, response.json()["code"]) == (409, "deploy_in_progress")


async def test_delete_marks_the_instance_and_starts_one_job(
    app: FastAPI, client: httpx2.AsyncClient, gateway: FakeGateway
) -> None:
    instance = await make_instance(client)
    path = f"/v1/instances/{instance['id']}"
    response = await client.delete(f"{path}?confirm_name=Orders of Acme")
    assert response.status_code == 202
    job_id = response.json()["job_id"]
    assert response.json() == {"id": instance["id"], "job_id": job_id, "state": "deleting"}
    again = await client.delete(f"{path}?confirm_name=Orders of Acme")
    assert (again.status_code, again.json()) == (202, response.json())
    assert set(gateway.jobs) == {job_id}
    job = await read(client, f"/v1/jobs/{job_id}")
    assert (job["kind"], job["object_id"], job["state"], job["stage"]) == (
        "delete",
        instance["id"],
        "running",
        "queued",
    )
    token = instance["flows"][0]["webhook_url"].rpartition("/")[2]
    async with app.state.resources.database.snapshot() as session:
        assert await InstanceFlows(session).tombstone(token) is not None
        assert await Jobs(session).get(job_id) is not None


@pytest.mark.parametrize("query", ["", "?confirm_name=orders of acme"])
async def test_delete_wants_the_exact_name(client: httpx2.AsyncClient, query: str) -> None:
    instance = await make_instance(client)
    response = await client.delete(f"/v1/instances/{instance['id']}{query}")
    assert (response.status_code, response.json()["code"]) == (422, "name_mismatch")
    assert (await read(client, f"/v1/instances/{instance['id']}"))["state"] == "active"


async def test_instance_on_its_way_out_can_be_read_and_not_changed(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path, flow = f"/v1/instances/{instance['id']}", f"/v1/flows/{instance['flows'][0]['id']}"
    await client.delete(f"{path}?confirm_name=Orders of Acme")
    assert (await read(client, path))["state"] == "deleting"
    key = "/api_keys/key_x"
    refused = [
        await client.patch(path, json={"name": "Back"}),
        await client.patch(f"{path}/config", json={"values": {}}),
        await client.put(f"{path}/config", json={"values": {}}),
        await client.post(f"{path}/deploy"),
        await client.post(f"{path}/pause"),
        await client.post(f"{path}/unpause"),
        await client.post(f"{flow}/test"),
        await client.post(f"{flow}/rotate_url"),
        await client.post(f"{flow}/api_keys"),
        await client.delete(f"{flow}{key}"),
        await client.put(f"{flow}/test_payload", json={}),
    ]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(409, "state_conflict")] * len(refused)


async def test_delete_during_the_delete_of_its_customer_names_that_job(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    instance = await make_instance(client)
    customer = (await client.delete(f"/v1/customers/{instance['customer']['id']}?confirm_name=Acme")).json()
    async with app.state.resources.database.transaction() as session:
        row = await session.get_one(InstanceRow, instance["id"])
        row.deleting = True  # as the customer's job does first
    response = await client.delete(f"/v1/instances/{instance['id']}?confirm_name=Orders of Acme")
    assert (response.status_code, response.json()["job_id"]) == (202, customer["job_id"])
