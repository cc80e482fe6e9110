"""Customers, integrations and instances in one call each, made through the API as a client would."""

from typing import Any, cast

import httpx2
from fastapi import FastAPI

from activities.deploys import DeployActivities
from activities.handover import Starter
from activities.schedules import Schedules
from api.resources import Resources
from domain.messages import DeployInput, DeployResult
from runtime.ids import new_id

Json = dict[str, Any]

TOKEN = "shop-token-that-nobody-may-see"
SECRET = "hook-secret-that-nobody-may-see"
ORDER_SYNC = """\
schema: flowgraft/v1
key: order-sync
name: Order sync
labels: [ERP, orders]
config:
  - page: Connect
    tagline: Where your shop lives
    fields:
      - {key: shop, type: connection, connection: http/bearer, label: Shop API}
      - {key: endpoint, type: string, default: "https://shop.example.com"}
      - {key: hook_secret, type: string, secret: true, required: false}
  - page: Options
    fields:
      - {key: region, type: picklist, options: [eu, us], default: eu}
      - {key: big_order, type: number, default: 1000}
      - {key: nightly, type: schedule, default: {cron: "0 3 * * *", time_zone: Europe/Berlin}}
flows:
  - key: order-created
    name: Order created
    trigger:
      type: webhook
      security: {api_key: optional}
      tags: {order_id: "{{ trigger.body.id }}", region: "{{ config.region }}"}
    steps: [{key: say, action: log.write, inputs: {message: "Order {{ trigger.body.id }}"}}]
  - key: nightly
    name: Nightly check
    trigger: {type: schedule, from: nightly}
    steps: [{key: hello, action: log.write, inputs: {message: Checking}}]
  - key: setup
    trigger: {type: deploy}
    steps: [{key: hello, action: log.write, inputs: {message: Set up}}]
"""
NEXT_VERSION = """\
schema: flowgraft/v1
key: order-sync
name: Order sync
config:
  - page: Connect
    fields: [{key: api_version, type: string}]
flows:
  - key: order-created
    name: Order created, again
    trigger: {type: webhook}
    steps: [{key: say, action: log.write, inputs: {message: Order}}]
  - key: returned
    trigger: {type: webhook}
    steps: [{key: say, action: log.write, inputs: {message: Returned}}]
"""
CONFIG: Json = {"shop": {"token": TOKEN}, "hook_secret": SECRET}


async def made(client: httpx2.AsyncClient, path: str, body: Json) -> Json:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    return cast(Json, response.json())


async def read(client: httpx2.AsyncClient, path: str, **query: Any) -> Json:
    response = await client.get(path, params=query)
    assert response.status_code == 200, response.text
    return cast(Json, response.json())


async def make_customer(client: httpx2.AsyncClient, name: str = "Acme") -> Json:
    return await made(client, "/v1/customers", {"name": name})


async def make_version(client: httpx2.AsyncClient, text: str = ORDER_SYNC) -> Json:
    """Puts the draft and publishes it; the answer names the integration."""
    response = await client.post("/v1/integrations", content=text, headers={"Content-Type": "application/yaml"})
    assert response.status_code in (200, 201), response.text
    return await made(client, f"/v1/integrations/{response.json()['id']}/versions", {})


async def make_instance(client: httpx2.AsyncClient, **fields: Any) -> Json:
    """Of a new customer and the one integration, unless told otherwise. Configured, not deployed."""
    if "customer_id" not in fields:
        fields["customer_id"] = (await make_customer(client))["id"]
    if "integration_id" not in fields:
        fields["integration_id"] = (await make_version(client))["integration_id"]
    return await made(client, "/v1/instances", {"name": "Orders of Acme", "config": CONFIG} | fields)


async def make_key(client: httpx2.AsyncClient, scope: str) -> dict[str, str]:
    """The headers of a caller with this scope."""
    key = await made(client, "/v1/api_keys", {"name": scope, "scopes": [scope]})
    return {"Authorization": f"Bearer {key['key']}"}


async def deploy(app: FastAPI, instance: Json) -> DeployResult:
    """What the deploy workflow does to the ledger, without Temporal."""
    resources: Resources = app.state.resources
    activities = DeployActivities(
        resources.database,
        resources.vault,
        resources.deployments,
        resources.payloads,
        cast(Starter, None),
        cast(Schedules, None),
        resources.settings.public_url,
    )
    return await activities.switch_deployment(DeployInput(instance["id"], new_id("job"), "bootstrap"))


def pointers(response: httpx2.Response, status: int = 422) -> dict[str, str]:
    """What was wrong, by pointer."""
    assert response.status_code == status, response.text
    return {each["pointer"]: each["code"] for each in response.json()["errors"]}
