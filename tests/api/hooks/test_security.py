import base64
import hashlib
import hmac
import json
import time

import httpx2
import pytest
from fastapi import FastAPI

from tests.api.hooks.kit import Made, definition, deliver, make, reached, refused
from tests.api.setup import read

SECRET = "hook-secret-that-nobody-may-see"
OLD = "old-hook-secret-that-nobody-may-see"
STANDARD = "whsec_" + base64.b64encode(b"a standard secret of tests").decode()
FIELDS = (
    "{key: hook_secret, type: string, secret: true, required: false},"
    "{key: old_secret, type: string, secret: true, required: false}"
)
BODY = json.dumps({"id": 42}).encode()
JSON = {"Content-Type": "application/json"}


def signing(scheme: str = "github", more: str = "") -> str:
    hmac_rule = f"hmac: {{scheme: {scheme}, secret: ['{{{{ config.hook_secret }}}}', '{{{{ config.old_secret }}}}']}}"
    flow = f"  - {{key: created, trigger: {{type: webhook, security: {{{hmac_rule}{more}}}}}, steps: []}}\n"
    return definition(fields=FIELDS, flows=flow)


def github(secret: str = SECRET, body: bytes = BODY) -> dict[str, str]:
    return JSON | {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def standard(message: str = "msg_1", seconds: int | None = None) -> dict[str, str]:
    at = str(int(time.time()) if seconds is None else seconds)
    key = base64.b64decode(STANDARD.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message}.{at}.".encode() + BODY, hashlib.sha256).digest()
    return JSON | {
        "webhook-id": message,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


async def send(made: Made, headers: dict[str, str], body: bytes = BODY) -> httpx2.Response:
    return await deliver(made.client, await made.url(), content=body, json=None, headers=headers)


async def test_signed_delivery_is_accepted_byte_for_byte(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, signing(), config={"hook_secret": SECRET})
    assert (await made.flow())["security"] == {"api_key": None, "hmac": "github"}
    body = b'{ "id":\t42 }\n'
    response = await send(made, github(body=body), body)
    assert await reached(client, response) == (made.id, "created")
    raw = await client.get(f"/v1/executions/{response.json()['execution_id']}/payload/raw")
    assert raw.content == body


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "the header x-hub-signature-256 is missing"),
        (github("another"), "the signature is of another body or secret"),
        (github(body=b"{}"), "the signature is of another body or secret"),
        ({"X-Hub-Signature-256": "sha1=abc"}, "the signature does not begin with sha256="),
        ({"X-Hub-Signature-256": b"sha256=\xff".decode("latin-1")}, "the signature is of another body or secret"),
    ],
)
async def test_anything_odd_is_401_and_only_the_log_says_why(
    app: FastAPI, client: httpx2.AsyncClient, headers: dict[str, str], reason: str
) -> None:
    made = await make(app, client, signing(), config={"hook_secret": SECRET})
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    response = await client.post(await made.url(), content=BODY, headers=encoded)
    assert refused(response) == (401, "signature_invalid")
    assert response.json()["detail"] == "The signature of this delivery is missing or wrong"
    assert await made.refusals() == [f"signature_invalid: {response.json()['detail']} ({reason})"]
    assert (await read(client, "/v1/executions", instance_id=made.id))["data"] == []


async def test_repeated_signature_is_refused(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, signing(), config={"hook_secret": SECRET})
    twice = [*github().items(), ("x-hub-signature-256", github()["X-Hub-Signature-256"])]
    response = await client.post(await made.url(), content=BODY, headers=twice)
    assert refused(response) == (401, "signature_invalid")


async def test_refusals_of_one_kind_are_noted_once(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, signing(), config={"hook_secret": SECRET})
    for _ in range(3):
        assert refused(await send(made, {})) == (401, "signature_invalid")
    assert len(await made.refusals()) == 1


async def test_old_secret_passes_until_it_is_taken_out(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, signing(), config={"hook_secret": SECRET, "old_secret": OLD})
    for secret in (SECRET, OLD):
        assert (await send(made, github(secret))).status_code == 202
    values = {"values": {"old_secret": None}}
    assert (await client.patch(f"/v1/instances/{made.id}/config", json=values)).status_code == 200
    assert (await send(made, github(OLD))).status_code == 202  # as deployed
    await made.deploy()
    assert refused(await send(made, github(OLD))) == (401, "signature_invalid")
    assert (await send(made, github())).status_code == 202


async def test_without_a_secret_nobody_passes(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, signing())
    assert refused(await send(made, github(""))) == (401, "signature_invalid")
    assert "(no usable secret is configured)" in (await made.refusals())[0]


async def test_key_and_signature_must_both_hold(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, signing(more=", api_key: required"), config={"hook_secret": SECRET})
    flow = await made.flow()
    assert flow["security"] == {"api_key": "required", "hmac": "github"}
    key = {"Api-Key": (await client.post(f"/v1/flows/{flow['id']}/api_keys")).json()["key"]}
    assert refused(await send(made, github())) == (401, "unauthenticated")
    assert refused(await send(made, key)) == (401, "signature_invalid")
    assert refused(await send(made, github() | {"Api-Key": "another"})) == (401, "unauthenticated")
    response = await send(made, github() | key)
    assert response.status_code == 202
    payload = await read(client, f"/v1/executions/{response.json()['execution_id']}/payload")
    assert "api-key" not in payload["headers"]


async def test_optional_key_does_not_replace_the_signature(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, signing(more=", api_key: optional"), config={"hook_secret": SECRET})
    assert (await send(made, github())).status_code == 202
    key = {"Api-Key": (await client.post(f"/v1/flows/{(await made.flow())['id']}/api_keys")).json()["key"]}
    assert refused(await send(made, key)) == (401, "signature_invalid")


async def test_replay_of_a_signed_delivery_is_the_duplicate(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, signing("standard_webhooks"), config={"hook_secret": STANDARD})
    headers = standard()
    first, second = await send(made, headers), await send(made, headers)
    assert (first.status_code, second.status_code, second.json()["duplicate"]) == (202, 202, True)
    assert first.json()["execution_id"] == second.json()["execution_id"]


@pytest.mark.parametrize("off", [-302, 302])
async def test_signature_of_another_time_is_refused(app: FastAPI, client: httpx2.AsyncClient, off: int) -> None:
    made = await make(app, client, signing("standard_webhooks"), config={"hook_secret": STANDARD})
    assert refused(await send(made, standard(seconds=int(time.time()) + off))) == (401, "signature_invalid")


async def test_signature_is_asked_for_before_the_state_and_after_the_size(
    app: FastAPI, client: httpx2.AsyncClient
) -> None:
    made = await make(app, client, signing(), config={"hook_secret": SECRET})
    url = await made.url()
    assert refused(await send(made, {}, bytes(6 * 1024 * 1024 + 1))) == (413, "payload_too_large")
    await client.post(f"/v1/instances/{made.id}/pause")
    assert refused(await send(made, {})) == (401, "signature_invalid")
    assert refused(await send(made, github())) == (409, "instance_paused")
    await client.delete(f"/v1/instances/{made.id}", params={"confirm_name": "Events"})
    assert refused(await deliver(client, url)) == (410, "gone")


async def test_secret_is_nowhere_to_be_seen(app: FastAPI, client: httpx2.AsyncClient) -> None:
    made = await make(app, client, signing(), config={"hook_secret": SECRET})
    await send(made, {})
    shown = [await made.read(), await made.refusals(), await read(client, f"/v1/instances/{made.id}/config")]
    assert SECRET not in str(shown)
