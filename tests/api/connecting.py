"""An integration whose connection is authorised at a provider, and the browser that does it."""

from typing import Any
from urllib.parse import urlsplit

import httpx2
from fastapi import FastAPI

from tests.api.setup import Json, made, make_customer, make_version
from tests.fixtures.oauth_server import OAuthServer

OAUTH_SYNC = """\
schema: flowgraft/v1
key: oauth-sync
name: OAuth sync
config:
  - page: Connect
    fields:
      - key: shop
        type: connection
        connection: http/oauth2
        default: {authorize_url: "URL/authorize", token_url: "URL/token", scopes: [orders]}
      - key: extra
        type: connection
        connection: http/bearer
        required: false
        label: Extra
        check: {action: http.get, inputs: {url: "URL/api"}}
flows:
  - key: sync
    trigger: {type: webhook}
    steps: [{key: get, action: http.get, connection: shop, inputs: {url: "URL/api"}}]
"""
CLIENT = {"client_id": "client-1", "client_secret": "client-secret-that-nobody-may-see"}


async def make_oauth_instance(client: httpx2.AsyncClient, server: OAuthServer, **config: Any) -> Json:
    version = await make_version(client, OAUTH_SYNC.replace("URL", server.url))
    owner = await make_customer(client)
    body = {"customer_id": owner["id"], "integration_id": version["integration_id"], "name": "Orders of Acme"}
    return await made(client, "/v1/instances", body | {"config": {"shop": CLIENT} | config})


class Browser:
    """Without an API key, with cookies of its own. It follows redirects one at a time."""

    def __init__(self, app: FastAPI, server: OAuthServer) -> None:
        transport = httpx2.ASGITransport(app=app)
        self._ours = httpx2.AsyncClient(transport=transport, base_url="http://flowgraft.test")
        self._server = server

    async def open(self, address: str, **headers: str) -> httpx2.Response:
        """An address of ours, whatever host it names."""
        parts = urlsplit(address)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return await self._ours.get(path, headers=headers)

    async def at_provider(self, address: str) -> str:
        """Agrees there; where the provider sends it."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.get(address)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    async def authorize(self, address: str, **headers: str) -> httpx2.Response:
        """The whole way; the last answer."""
        start = await self.open(address)
        assert start.status_code == 302, start.text
        return await self.open(await self.at_provider(start.headers["location"]), **headers)


async def connect(client: httpx2.AsyncClient, browser: Browser, path: str, **body: Any) -> httpx2.Response:
    begun = await client.post(f"{path}/authorize", json=body)
    assert begun.status_code == 200, begun.text
    return await browser.authorize(begun.json()["authorize_url"])
