"""Integrations with webhooks, deployed, and deliveries to them as a sender makes them."""

from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import FastAPI

from tests.api.setup import Json, deploy, made, make_customer, make_version, read

FLOWS = """\
  - {key: created, trigger: {type: webhook}, steps: []}
  - {key: deleted, trigger: {type: webhook, methods: [POST, GET]}, steps: []}
  - {key: setup, trigger: {type: deploy}, steps: []}
"""
HEAD = "schema: flowgraft/v1\nkey: events\nname: Events\n"
BY_HEADER = "flow: headers.x-acme-flow"


def definition(endpoint: str = "", flows: str = FLOWS, fields: str = "") -> str:
    """`endpoint` and the config `fields` in the notation's own words."""
    config = f"config: [{{page: P, fields: [{fields}]}}]\n" if fields else ""
    return f"{HEAD}{f'endpoint: {{{endpoint}}}' if endpoint else ''}\n{config}flows:\n{flows}"


@dataclass(frozen=True)
class Made:
    """A deployed instance, or one that is not."""

    app: FastAPI
    client: httpx2.AsyncClient
    id: str
    version: Json

    async def read(self) -> Json:
        return await read(self.client, f"/v1/instances/{self.id}")

    async def flow(self, key: str = "created") -> Json:
        return next(flow for flow in (await self.read())["flows"] if flow["key"] == key)

    async def url(self, key: str = "created") -> str:
        return str((await self.flow(key))["webhook_url"])

    async def deploy(self, text: str | None = None) -> dict[str, str]:
        """The chosen version, or a new one with this text; answers the URLs."""
        if text is not None:
            version = await make_version(self.client, text)
            await self.client.patch(f"/v1/instances/{self.id}", json={"version_id": version["id"]})
        return (await deploy(self.app, {"id": self.id})).webhook_urls

    async def refusals(self) -> list[str]:
        """What its log says of refused deliveries, newest first."""
        lines = (await read(self.client, "/v1/logs", instance_id=self.id, severity="warn"))["data"]
        return [line["message"].removeprefix("Webhook refused: ") for line in lines]


async def make(
    app: FastAPI,
    client: httpx2.AsyncClient,
    text: str = "",
    *,
    customer: Json | None = None,
    version: Json | None = None,
    config: Json | None = None,
    deployed: bool = True,
) -> Made:
    version = version or await make_version(client, text or definition())
    body = {
        "customer_id": (customer or await make_customer(client))["id"],
        "integration_id": version["integration_id"],
        "name": "Events",
        "config": config or {},
    }
    instance = Made(app, client, (await made(client, "/v1/instances", body))["id"], version)
    if deployed:
        await instance.deploy()
    return instance


async def customer(client: httpx2.AsyncClient, external_id: str) -> Json:
    return await made(client, "/v1/customers", {"name": f"Customer {external_id}", "external_id": external_id})


async def deliver(client: httpx2.AsyncClient, url: str, **options: Any) -> httpx2.Response:
    return await client.post(url, **({"json": {"id": 1}} | options))


async def reached(client: httpx2.AsyncClient, response: httpx2.Response) -> tuple[str, str]:
    """The instance and the flow that a delivery was accepted for."""
    assert response.status_code == 202, response.text
    execution = await read(client, f"/v1/executions/{response.json()['execution_id']}")
    return execution["instance"]["id"], execution["flow"]["key"]


def refused(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]
