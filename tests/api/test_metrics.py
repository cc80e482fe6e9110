"""`/metrics`, on the API's port or on its own, and what requests add to it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.app import create_app
from runtime.clock import utcnow
from runtime.devserver import free_port
from runtime.metrics import REGISTRY
from store.engine import Database
from tests.api.conftest import serving, settings_for
from tests.api.setup import deploy, make_customer, make_instance
from tests.factories import deployed, execution, save
from tests.fakes_gateway import FakeGateway


def told(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def requests(handler: str, status: str, method: str = "GET") -> float:
    return told("http_requests_total", method=method, handler=handler, status=status)


def deliveries(code: str) -> tuple[float, float]:
    """Answered with this code, and acknowledged at all."""
    return told("flowgraft_webhook_requests_total", code=code), told("flowgraft_webhook_ack_duration_seconds_count")


async def webhook(app: FastAPI, client: httpx2.AsyncClient) -> str:
    deployed = await deploy(app, await make_instance(client))
    return httpx2.URL(deployed.webhook_urls["order-created"]).path


async def test_metrics_want_no_key(app: FastAPI) -> None:
    async with serving(app, key=None) as client:
        response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "# HELP flowgraft_instances Instances by state" in response.text
    assert 'flowgraft_build_info{commit="unknown",version=' in response.text


async def test_instances_are_those_of_the_database(app: FastAPI, client: httpx2.AsyncClient) -> None:
    first = await make_instance(client)
    other = await make_customer(client, "Other")
    await make_instance(client, customer_id=other["id"], integration_id=first["integration"]["id"])
    await deploy(app, first)
    text = (await client.get("/metrics")).text
    assert 'flowgraft_instances{state="enabled"} 1.0' in text
    assert 'flowgraft_instances{state="not_deployed"} 1.0' in text
    assert 'flowgraft_instances{state="paused"} 0.0' in text


async def test_what_is_open_parked_and_late_is_counted(sqlite_database: Database, app: FastAPI) -> None:
    async with sqlite_database.transaction() as session:
        made = await deployed(session)
        ago = utcnow() - timedelta(hours=1)
        given: list[dict[str, Any]] = [
            {"status": "queued", "reason": "queued_behind", "queued_at": ago},
            {"status": "queued", "reason": "queued_behind", "queued_at": utcnow()},
            {"status": "running", "queued_at": utcnow()},
            {"status": "failed", "queued_at": ago, "ended_at": ago - timedelta(days=31), "parked_until": utcnow()},
        ]
        await save(session, *(execution(made.instance, made.flow, **each) for each in given))
    async with serving(app) as client:
        await client.get("/metrics")
    behind = {"status": "queued", "reason": "queued_behind"}
    assert told("flowgraft_executions_open", **behind) == 2
    assert told("flowgraft_executions_open_oldest_seconds", **behind) == pytest.approx(3600, abs=30)
    assert told("flowgraft_executions_open", status="running", reason="") == 1
    assert told("flowgraft_executions_parked") == 1
    assert told("flowgraft_retention_lag_seconds") == pytest.approx(25 * 3600, abs=30)


async def test_without_a_database_the_rest_is_still_told(app: FastAPI, tmp_path: Path) -> None:
    async with serving(app) as client:
        await client.get("/metrics")
        away = Database(f"sqlite+aiosqlite:///{tmp_path / 'absent' / 'no.db'}")
        app.state.resources = type(app.state.resources)(**vars(app.state.resources) | {"database": away})
        response = await client.get("/metrics")
        await away.dispose()
    assert response.status_code == 200
    assert "flowgraft_instances{" not in response.text
    assert "http_requests_total{" in response.text


@pytest.mark.parametrize(
    ("path", "handler", "status"),
    [
        ("/livez", "/livez", "200"),
        ("/v1/customers/cust_absent", "/v1/customers/{customer_id}", "404"),
        ("/nowhere/secret", "none", "404"),
        ("/hooks/secret-token", "/hooks/{token}", "404"),
    ],
)
async def test_requests_are_counted_by_their_pattern(
    client: httpx2.AsyncClient, path: str, handler: str, status: str
) -> None:
    before = requests(handler, status)
    timed = told("http_request_duration_seconds_count", method="GET", handler=handler)
    await client.get(path)
    assert requests(handler, status) == before + 1
    assert told("http_request_duration_seconds_count", method="GET", handler=handler) == timed + 1
    text = (await client.get("/metrics")).text
    assert "secret-token" not in text
    assert "/nowhere" not in text


async def test_method_of_a_senders_own_making_is_no_label(client: httpx2.AsyncClient) -> None:
    before = requests("/livez", "405", "other")
    await client.request("BREW", "/livez")
    assert requests("/livez", "405", "other") == before + 1


async def test_crash_is_counted(client: httpx2.AsyncClient, probe: object) -> None:
    before = requests("/v1/probe/wrong_answer", "500")
    await client.get("/v1/probe/wrong_answer")
    assert requests("/v1/probe/wrong_answer", "500") == before + 1


async def test_deliveries_are_counted_by_their_answer(app: FastAPI, client: httpx2.AsyncClient) -> None:
    path = await webhook(app, client)
    accepted, acknowledged = deliveries("202")
    await client.post(path, json={"id": 1})
    assert deliveries("202") == (accepted + 1, acknowledged + 1)
    refused, acknowledged = deliveries("401")
    await client.post(path, json={"id": 1}, headers={"Api-Key": "wrong"})
    assert deliveries("401") == (refused + 1, acknowledged)


async def test_line_of_a_delivery_names_its_execution(app: FastAPI, client: httpx2.AsyncClient) -> None:
    path = await webhook(app, client)
    with capture_logs(processors=[merge_contextvars]) as lines:
        first, again = [
            (await client.post(path, json={"id": 1}, headers={"Idempotency-Key": "one"})).json() for _ in range(2)
        ]
        await client.get("/livez")
    served = [line for line in lines if line["event"] == "request"]
    assert again["duplicate"]
    assert [line.get("execution_id") for line in served] == [first["execution_id"], again["execution_id"], None]
    assert [line.get("customer_id", "")[:5] for line in served] == ["cust_", "", ""]
    assert {line["request_id"][:4] for line in served} == {"req_"}


async def test_own_port_serves_metrics_and_the_public_one_does_not(sqlite_url: str) -> None:
    settings = settings_for(sqlite_url).model_copy(update={"metrics_port": free_port()})
    url = f"http://127.0.0.1:{settings.metrics_port}"
    app = create_app(settings, gateway=FakeGateway())
    async with httpx2.AsyncClient(trust_env=False) as scraper:
        async with serving(app) as client:
            assert (await client.get("/metrics")).status_code == 404
            while (answer := await _get(scraper, f"{url}/metrics")) is None:
                continue
            assert 'flowgraft_instances{state="enabled"} 0.0' in answer.text
            assert (await scraper.get(f"{url}/v1/customers")).status_code == 404
        assert await _get(scraper, f"{url}/metrics") is None


async def _get(client: httpx2.AsyncClient, url: str) -> httpx2.Response | None:
    try:
        return await client.get(url)
    except httpx2.ConnectError:
        return None
