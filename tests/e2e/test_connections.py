"""Tokens that end while flows run: renewed once by all processes together, and what a kill in the middle does."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.client import Client, Json, Provision, fresh
from tests.fixtures.oauth_server import CLIENT, SECRET, OAuthServer, running_oauth_server
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

BURST = 200
OAUTH = """\
schema: flowgraft/v1
key: KEY
name: OAuth KEY
config:
  - page: Connect
    fields:
      - {key: url, type: string}
      - {key: shop, type: connection, connection: http/oauth2}
flows:
  - key: call
    trigger: {type: webhook}
    steps: [{key: call, action: http.post, connection: shop, inputs: {url: "{{ config.url }}/api", json: {}}}]
  - key: now
    trigger: {type: webhook}
    on_connection_error: fail
    steps: [{key: call, action: http.post, connection: shop, inputs: {url: "{{ config.url }}/api", json: {}}}]
"""


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[OAuthServer]:
    async with running_oauth_server() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def made(client: Client, provider: OAuthServer) -> Provision:
    """Deployed, with a token that has ended a moment later."""
    values = provider.values(client_id=CLIENT, client_secret=SECRET)
    shop = await client.call(
        "POST", "/v1/connections", expect=201, json={"name": fresh("shop"), "kind": "http/oauth2", "values": values}
    )
    await give_tokens(client, provider, shop)
    made = await client.provision(OAUTH, url=provider.url, shop={"connection_id": shop["id"]})
    await asyncio.sleep(1)
    return made


async def give_tokens(client: Client, provider: OAuthServer, shop: Json) -> None:
    granted = provider.grant()
    body = {name: granted[name] for name in ("access_token", "refresh_token")} | {"expires_in": 1}
    await client.call("PUT", f"/v1/connections/{shop['id']}/tokens", json=body)


async def status_of(client: Client, made: Provision) -> str:
    answer = await client.call("GET", f"/v1/instances/{made.id}/connections")
    return str(answer["data"][0]["status"])


async def test_steps_of_all_processes_renew_a_token_once(
    stack: Stack, client: Client, provider: OAuthServer, made: Provision
) -> None:
    async with stack.second_worker():
        ids = await asyncio.gather(*(client.delivered(made.url("call")) for _ in range(BURST)))
        for execution_id in ids:
            await client.wait_for(execution_id, "succeeded", timeout=90)
    assert provider.calls == ["refresh_token"]
    assert len(provider.api_calls) == BURST
    assert len(set(provider.api_calls)) == 1


async def test_killed_in_a_renewal_that_never_arrived(
    stack: Stack, client: Client, provider: OAuthServer, made: Provision
) -> None:
    """Its lease ends, and another process renews."""
    execution_id = await killed_in_a_renewal(stack, client, provider, made)
    execution = await client.wait_for(execution_id, "succeeded", timeout=60)
    assert provider.calls == ["refresh_token"] * 2
    assert len(provider.api_calls) == 1
    assert [step["tries"] for step in execution["steps"]] == [1]
    assert await status_of(client, made) == "active"


async def test_killed_when_the_answer_was_on_its_way(
    stack: Stack, client: Client, provider: OAuthServer, made: Provision
) -> None:
    """A refresh token for one use is spent, and what came of it is lost: a person must authorise again, and is told."""
    provider.stubborn = True
    execution_id = await killed_in_a_renewal(stack, client, provider, made)
    await until_waiting(client, [execution_id], timeout=60)
    assert await status_of(client, made) == "needs_reauth"
    shown = await client.call("GET", f"/v1/instances/{made.id}")
    assert "invalid_grant" in shown["connection_error"]


async def test_executions_wait_until_their_connection_is_authorised_again(
    stack: Stack, client: Client, provider: OAuthServer, made: Provision
) -> None:
    provider.end_grants()
    ids = [await client.delivered(made.url("call")) for _ in range(3)]
    waiting = await until_waiting(client, ids)
    assert {each["status"] for each in waiting} == {"running"}
    (field,) = (await client.call("GET", f"/v1/instances/{made.id}/connections"))["data"]
    assert (field["status"], field["waiting_executions"]) == ("needs_reauth", 3)
    shop = await client.call("GET", f"/v1/connections/{field['connection_id']}")
    assert shop["waiting_executions"] == 3
    found = await client.executions(waiting_connection_id=shop["id"])
    assert sorted(each["id"] for each in found) == sorted(ids)

    failed = await client.wait_for(await client.delivered(made.url("now")), "failed")
    assert failed["error"]["code"] == "connection_needs_reauth"

    stack.kill_workers()  # who waits needs nobody
    stack.start_workers()
    await give_tokens(client, provider, shop)
    for execution_id in ids:
        execution = await client.wait_for(execution_id, "succeeded", timeout=60)
        assert [(step["tries"], step["attempt"]) for step in execution["steps"]] == [(1, 1)]
        assert (execution["reason"], execution["waiting_connection_id"]) == (None, None)
    assert len(provider.api_calls) == len(ids)
    assert (await client.call("GET", f"/v1/connections/{shop['id']}"))["waiting_executions"] == 0


async def until_waiting(client: Client, ids: list[str], timeout: float = 30) -> list[Json]:
    async with asyncio.timeout(timeout):
        while True:
            found = [await client.execution(execution_id) for execution_id in ids]
            if all(each["reason"] == "waiting_connection" for each in found):
                return found
            await asyncio.sleep(0.05)


async def killed_in_a_renewal(stack: Stack, client: Client, provider: OAuthServer, made: Provision) -> str:
    """The execution that was under way."""
    provider.gate = asyncio.Event()
    execution_id = await client.delivered(made.url("call"))
    async with asyncio.timeout(20):
        while not provider.calls:
            await asyncio.sleep(0.02)
    stack.kill_workers()
    await asyncio.sleep(0.5)
    provider.gate.set()
    await asyncio.sleep(0.5)
    provider.gate = None
    stack.start_workers()
    return execution_id
