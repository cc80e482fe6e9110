from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from domain.connections import ConnectionStatus
from domain.messages import RunStepInput
from domain.values import MASK
from store.engine import Database
from store.tables import ExecutionRow
from tests.activities.connecting import a_connection, connected, deployed_with, loopback_http, row_of
from tests.activities.kit import Kit, definition, run_step_input
from tests.factories import customer, saved
from tests.fakes import ScriptedHttp
from tests.fixtures.oauth_server import OAuthServer, running_oauth_server

ONE = definition({})
STATIC = {"token": "tok-Aa1/+secret"}


@pytest.fixture
async def server() -> AsyncIterator[OAuthServer]:
    async with running_oauth_server() as server:
        yield server


@pytest.fixture
async def kit(database: Database) -> AsyncIterator[Kit]:
    """With an HTTP client that reaches the provider."""
    async with loopback_http() as http:
        yield Kit(database, http=cast(ScriptedHttp, http))


async def using(kit: Kit, connection_id: str, **held: Any) -> ExecutionRow:
    """An accepted execution of one that does."""
    return await kit.accepted(await deployed_with(kit, ONE, connection_id, **held))


def call(row: ExecutionRow, server: OAuthServer, **given: Any) -> RunStepInput:
    return run_step_input(row, "http.get", {"url": f"{server.url}/api"}, connection="shop", **given)


async def test_step_sends_the_token_and_its_record_hides_it(kit: Kit, server: OAuthServer) -> None:
    made = await connected(kit.database, server)
    row = await using(kit, made.id)
    output = await kit.step(call(row, server))
    assert output["body"] == {"ok": True, "echo": MASK}
    assert (len(server.api_calls), server.calls) == (1, [])


async def test_step_renews_a_token_that_the_target_refuses(kit: Kit, server: OAuthServer) -> None:
    made = await connected(kit.database, server)
    server.revoke_access()
    row = await using(kit, made.id)
    output = await kit.step(call(row, server))
    first, second = server.api_calls
    assert (first != second, server.calls) == (True, ["refresh_token"])
    assert output["body"] == {"ok": True, "echo": MASK}  # the new token is hidden, too
    assert (await row_of(kit.database, made.id)).status == ConnectionStatus.ACTIVE


async def test_step_takes_the_token_that_somebody_else_has_renewed(kit: Kit, server: OAuthServer) -> None:
    made = await connected(kit.database, server)
    row = await using(kit, made.id)
    deployment = await kit.deployments.get(row.deployment_id)
    found = await kit.connections.resolve(deployment, "shop")
    server.revoke_access()
    await kit.connections.tokens.tried(made.id)
    renewed = await kit.connections.tokens.renewed(made.id, used=1)
    assert (renewed is not None and renewed.version, server.calls) == (2, ["refresh_token"])
    assert found.connection is not None
    assert set(found.connection.values) == {"access_token", "token_type"}  # an action has no use for the rest


async def test_target_that_refuses_a_new_token_makes_an_error(kit: Kit, server: OAuthServer) -> None:
    made = await connected(kit.database, server)
    row = await using(kit, made.id)
    server.refuses = True
    failure = await kit.step_fails(call(row, server))
    assert (failure.type, server.calls, len(server.api_calls)) == ("http_status", ["refresh_token"], 2)
    assert MASK in str(failure.details)
    assert "access-" not in str(failure.details)
    kept = await row_of(kit.database, made.id)
    assert (kept.status, kept.error) == (ConnectionStatus.ERROR, "The service refuses the token with 401")

    await kit.step_fails(call(row, server, path="again"))
    assert server.calls == ["refresh_token"]  # it was refused when it was new: no use in another one

    server.refuses = False
    await kit.step(call(row, server, path="third"))
    kept = await row_of(kit.database, made.id)
    assert (kept.status, kept.error) == (ConnectionStatus.ACTIVE, None)


async def test_token_goes_to_the_connections_hosts_only(kit: Kit, server: OAuthServer) -> None:
    made = await connected(kit.database, server)
    row = await using(kit, made.id, hosts=["api.example.com"])
    failure = await kit.step_fails(call(row, server))
    assert (failure.type, server.api_calls) == ("egress_denied", [])


async def test_step_of_a_dead_connection_names_it(kit: Kit, server: OAuthServer) -> None:
    made = await connected(kit.database, server, name="Acme's shop")
    row = await using(kit, made.id)
    server.end_grants()
    failure = await kit.step_fails(call(row, server))
    assert (failure.type, failure.non_retryable) == ("connection_needs_reauth", True)
    assert "Acme's shop" in failure.message
    record = await kit.step_row(row.id, "step")
    assert (record.status, record.error and record.error["code"]) == ("failed", "connection_needs_reauth")


async def test_step_tries_again_while_the_provider_is_away(kit: Kit, server: OAuthServer) -> None:
    made = await a_connection(kit.database, server.values(grant="client_credentials"), None)
    row = await using(kit, made.id)
    server.script = [(503, "")]
    message = call(row, server, tries=2, delay_seconds=0.0)
    failure = await kit.step_fails(message)
    assert (failure.type, failure.non_retryable) == ("connection_error", False)
    assert (await kit.step(message))["status"] == 200


async def test_reusable_connection_of_fixed_inputs_is_read_live(kit: Kit, server: OAuthServer) -> None:
    made = await a_connection(kit.database, STATIC, None, kind="http/bearer")
    row = await using(kit, made.id, kind="http/bearer")
    failure = await kit.step_fails(call(row, server))
    assert (failure.type, server.api_calls) == ("http_status", [STATIC["token"]])
    assert STATIC["token"] not in str(failure.details)
    assert server.calls == []


async def test_connection_of_another_customer_is_never_used(kit: Kit, server: OAuthServer) -> None:
    other = customer()
    await saved(kit.database, other)
    made = await connected(kit.database, server, customer_id=other.id, owner=other.id)
    failure = await kit.step_fails(call(await using(kit, made.id), server))
    assert (failure.type, server.api_calls) == ("connection_missing", [])


async def test_connection_that_is_gone_says_so(kit: Kit, server: OAuthServer) -> None:
    failure = await kit.step_fails(call(await using(kit, "conn_gone"), server))
    assert (failure.type, failure.non_retryable) == ("connection_missing", True)
