"""The example instances of `flowgraft dev`, made as any client would make them: through the public API."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

EXAMPLES = Path(__file__).parent.parent / "examples"
SETTLE_SECONDS = 30.0


@dataclass(frozen=True)
class Found:
    """An example's webhook, and its first execution as it is now."""

    webhook_url: str
    execution_id: str
    status: str


@dataclass(frozen=True)
class Seeded:
    green: Found
    red: Found


@dataclass(frozen=True)
class Example:
    file: str
    customer: str
    instance: str
    flow: str
    body: dict[str, Any]
    tag: str  # of its first execution
    settled: str  # the status its first execution comes to


GREEN = Example(
    file="order-sync.yaml",
    customer="Acme",
    instance="Order sync for Acme",
    flow="order-created",
    body={"id": 1001},
    tag="order_id:1001",
    settled="succeeded",
)
RED = Example(
    file="invoice-export.yaml",
    customer="Globex",
    instance="Invoices of Globex",
    flow="invoice-paid",
    body={"id": "A-7"},
    tag="invoice_id:A-7",
    settled="retrying",
)


async def seed(url: str, api_key: str, target_url: str) -> Seeded:
    """Makes what is not there yet; what is there is kept, and pointed at the target's address of today."""
    headers = {"Authorization": f"Bearer {api_key}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=40, trust_env=False) as client:
        api = _Api(client)
        return Seeded(await _ensure(api, GREEN, target_url), await _ensure(api, RED, target_url))


async def _ensure(api: "_Api", example: Example, target_url: str) -> Found:
    instance = await _instance(api, example, target_url)
    if instance["needs_deploy"]:
        await api.call("POST", f"/v1/instances/{instance['id']}/deploy")
    flows = (await api.call("GET", f"/v1/instances/{instance['id']}/flows"))["data"]
    webhook_url = next(flow["webhook_url"] for flow in flows if flow["key"] == example.flow)
    wanted = {"instance_id": instance["id"], "tag": example.tag, "originals_only": "true", "limit": 100}
    executions = (await api.call("GET", "/v1/executions", params=wanted))["data"]
    if executions:
        return Found(webhook_url, executions[-1]["id"], executions[-1]["status"])
    execution_id = (await _deliver(webhook_url, example.body))["execution_id"]
    return Found(webhook_url, execution_id, await _settle(api, execution_id, example.settled))


async def _deliver(webhook_url: str, body: dict[str, Any]) -> dict[str, Any]:
    """A webhook's sender has no API key."""
    async with httpx2.AsyncClient(timeout=40, trust_env=False) as sender:
        return await _Api(sender).call("POST", webhook_url, json=body)


async def _instance(api: "_Api", example: Example, target_url: str) -> dict[str, Any]:
    found = await api.call("GET", "/v1/instances", params={"q": example.instance})
    if not found["data"]:
        return await _new_instance(api, example, target_url)
    instance_id = found["data"][0]["id"]
    await api.call("PATCH", f"/v1/instances/{instance_id}/config", json={"values": {"endpoint": target_url}})
    return await api.call("GET", f"/v1/instances/{instance_id}")


async def _new_instance(api: "_Api", example: Example, target_url: str) -> dict[str, Any]:
    customers = await api.call("GET", "/v1/customers", params={"external_id": example.customer.lower()})
    customer = (
        customers["data"][0]
        if customers["data"]
        else await api.call(
            "POST", "/v1/customers", json={"name": example.customer, "external_id": example.customer.lower()}
        )
    )
    text = (EXAMPLES / example.file).read_text()
    integration = await api.call("POST", "/v1/integrations", content=text, headers={"Content-Type": "application/yaml"})
    if integration["latest_version"] is None:
        await api.call("POST", f"/v1/integrations/{integration['id']}/versions", json={"comment": "First"})
    return await api.call(
        "POST",
        "/v1/instances",
        json={
            "customer_id": customer["id"],
            "integration_id": integration["id"],
            "name": example.instance,
            "config": {"endpoint": target_url, "service": {"token": "demo-token"}},
        },
    )


async def _settle(api: "_Api", execution_id: str, wanted: str) -> str:
    """The status that it came to, or has when nobody waits any longer."""
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while True:
        status = str((await api.call("GET", f"/v1/executions/{execution_id}"))["status"])
        if status == wanted or asyncio.get_running_loop().time() > deadline:
            return status
        await asyncio.sleep(0.1)


class _Api:
    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def call(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        response = await self._client.request(method, url, **options)
        if response.is_error:
            raise RuntimeError(f"{method} {response.url.path} answered {response.status_code}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer
