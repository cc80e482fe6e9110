"""The modes of an endpoint and signed deliveries, on the whole product."""

import asyncio
import base64
import hashlib
import hmac
import time
from typing import Any

import pytest

from tests.e2e.client import Client, Provision

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "whsec_" + base64.b64encode(b"a secret of the e2e tests").decode()
TEXT = """\
schema: flowgraft/v1
key: KEY
name: Events KEY
ENDPOINT
config:
  - {page: Connect, fields: [{key: hook_secret, type: string, secret: true}]}
flows:
  - key: created
    trigger: {type: webhook, security: {hmac: {scheme: standard_webhooks, secret: "{{ config.hook_secret }}"}}}
    steps:
      - {key: say, action: log.write, inputs: {message: "New {{ trigger.body.id }}: {{ flows.deleted.webhook_url }}"}}
  - key: deleted
    trigger: {type: webhook}
    steps:
      - {key: say, action: log.write, inputs: {message: "Deleted {{ trigger.body.id }}"}}
"""
MODES = {
    "flow_specific": "",
    "instance_specific": "endpoint: {mode: instance_specific, flow: body.event}",
    "shared_instance": "endpoint: {mode: shared_instance, flow: body.event, customer: headers.x-customer}",
}


def signed(message: str, body: bytes) -> dict[str, str]:
    at = str(int(time.time()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mac).decode()}"
    return {"webhook-id": message, "webhook-timestamp": at, "webhook-signature": signature}


async def provision(client: Client, mode: str) -> Provision:
    return await client.provision(TEXT.replace("ENDPOINT", MODES[mode]), hook_secret=SECRET)


def sent(made: Provision, body: bytes, **headers: str) -> dict[str, Any]:
    told = {"Content-Type": "application/json", "X-Customer": made.customer["external_id"]}
    return {"content": body, "headers": told | headers}


@pytest.mark.parametrize("mode", MODES)
async def test_signed_delivery_reaches_its_flow(client: Client, mode: str) -> None:
    made = await provision(client, mode)
    again = await client.deploy(made.id)
    assert again["webhook_urls"] == {key: made.url(key) for key in ("created", "deleted")}
    assert (made.url("created") == made.url("deleted")) == (mode != "flow_specific")
    assert made.instance["endpoint"]["mode"] == mode
    assert made.instance["endpoint"]["url"] == (None if mode == "flow_specific" else made.url("created"))

    body = b'{"event": "created", "id":  7}'
    execution_id = await client.delivered(made.url("created"), **sent(made, body, **signed("msg_1", body)))
    execution = await client.wait_for(execution_id, "succeeded")
    assert (execution["instance"]["id"], execution["flow"]["key"]) == (made.id, "created")
    lines = await client.all_of(f"/v1/executions/{execution_id}/logs")
    assert f"New 7: {made.url('deleted')}" in [line["message"] for line in lines]
    body = b'{"event": "deleted", "id": 8}'
    execution = await client.execution(await client.delivered(made.url("deleted"), **sent(made, body)))
    assert execution["flow"]["key"] == "deleted"


@pytest.mark.parametrize("mode", MODES)
async def test_unsigned_delivery_is_refused_where_it_can_be_seen(client: Client, mode: str) -> None:
    made = await provision(client, mode)
    body = b'{"event": "created", "id": 7}'
    forged = signed("msg_1", body.replace(b"7", b"8"))
    refused = await client.deliver(made.url("created"), expect=401, **sent(made, body, **forged))
    assert refused["code"] == "signature_invalid"
    lines = await client.all_of("/v1/logs", instance_id=made.id, severity="warn")
    assert [line["message"].split(": ")[1] for line in lines] == ["signature_invalid"]
    assert lines[0]["flow_id"] == made.flows["created"]["id"]


async def test_old_url_is_heard_until_the_overlap_has_passed(client: Client) -> None:
    made = await provision(client, "instance_specific")
    old, path = made.url("deleted"), f"/v1/instances/{made.id}/rotate_endpoint"
    body = b'{"event": "deleted", "id": 1}'
    rotated = await client.call("POST", path, json={"overlap_seconds": 3})
    new = rotated["endpoint"]["url"]
    for url in (old, new):
        await client.deliver(url, **sent(made, body))
    deadline = time.monotonic() + 10
    while (await client.http.post(old, **sent(made, body))).status_code == 202:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    assert (await client.deliver(old, expect=410, **sent(made, body)))["code"] == "gone"
    await client.deliver(new, **sent(made, body))


async def test_deleted_instance_is_gone_at_its_endpoint(client: Client) -> None:
    made = await provision(client, "instance_specific")
    url = made.url("deleted")
    name = made.instance["name"]
    deletion = await client.call("DELETE", f"/v1/instances/{made.id}", expect=202, params={"confirm_name": name})
    body = b'{"event": "deleted", "id": 1}'
    await client.deliver(url, expect=410, **sent(made, body))
    assert (await client.wait_for_job(deletion["job_id"]))["state"] == "succeeded"
    assert (await client.deliver(url, expect=410, **sent(made, body)))["code"] == "gone"
