import base64
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from tests.api.conftest import CAPABILITY, ORIGIN, serving

PLAIN: dict[str, Any] = {
    "payloads": [
        {
            "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
            "data": base64.b64encode(b'{"order": 1}').decode(),
        }
    ]
}
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,x-namespace",
}


async def convert(client: httpx2.AsyncClient, address: str, body: Any, **headers: str) -> httpx2.Response:
    return await client.post(f"/codec/{address}", json=body, headers={"X-Namespace": "default"} | headers)


@pytest.mark.parametrize("prefix", ["", f"{CAPABILITY}/"])
async def test_payloads_go_there_and_back(client: httpx2.AsyncClient, prefix: str) -> None:
    encoded = await convert(client, f"{prefix}encode", PLAIN)
    assert encoded.status_code == 200, encoded.text
    assert PLAIN["payloads"][0]["data"] not in encoded.text
    decoded = await convert(client, f"{prefix}decode", encoded.json(), Origin=ORIGIN)
    assert decoded.json() == PLAIN
    assert decoded.headers["access-control-allow-origin"] == ORIGIN


async def test_capability_needs_no_key(app: FastAPI) -> None:
    async with serving(app, key=None) as client:
        assert (await convert(client, f"{CAPABILITY}/encode", PLAIN)).status_code == 200
        assert (await convert(client, "encode", PLAIN)).status_code == 401
        wrong = await convert(client, "another-capability-of-length/encode", PLAIN)
        assert (wrong.status_code, wrong.json()["code"]) == (404, "not_found")


async def test_key_needs_to_be_an_admins(client: httpx2.AsyncClient) -> None:
    made = await client.post("/v1/api_keys", json={"name": "w", "scopes": ["write"]})
    response = await convert(client, "decode", PLAIN, Authorization=f"Bearer {made.json()['key']}")
    assert response.status_code == 403


@pytest.mark.parametrize("path", ["/codec/decode", f"/codec/{CAPABILITY}/decode"])
async def test_browser_may_ask_from_the_web_ui_only(app: FastAPI, path: str) -> None:
    async with serving(app, key=None) as client:
        allowed = await client.options(path, headers=PREFLIGHT)
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        assert allowed.headers["access-control-allow-methods"] == "POST"
        assert allowed.headers["access-control-allow-headers"] == "content-type, x-namespace, authorization"
        foreign = await client.options(path, headers=PREFLIGHT | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in foreign.headers
        assert foreign.headers["vary"] == "Origin"


async def test_nothing_else_is_open_to_browsers(client: httpx2.AsyncClient) -> None:
    response = await client.get("/v1/customers", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("encoding", [b"binary/encrypted", b"binary/reference"])
async def test_payload_that_is_not_ours(client: httpx2.AsyncClient, encoding: bytes) -> None:
    payload = {
        "metadata": {"encoding": base64.b64encode(encoding).decode()},
        "data": base64.b64encode(b"\xff").decode(),
    }
    response = await convert(client, "decode", {"payloads": [payload]})
    assert (response.status_code, response.json()["code"]) == (400, "payload_undecodable")


@pytest.mark.parametrize("body", [[], 5, {"payloads": 7}, {"payloads": [{"data": 5}]}, {"other": 1}])
async def test_body_that_is_no_payloads(client: httpx2.AsyncClient, body: Any) -> None:
    assert (await convert(client, "decode", body)).status_code == 400


async def test_other_verbs(client: httpx2.AsyncClient) -> None:
    assert (await convert(client, "explain", PLAIN)).status_code == 404
    assert (await convert(client, f"{CAPABILITY}/explain", PLAIN)).status_code == 404
