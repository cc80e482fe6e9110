from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from temporalio.exceptions import ApplicationError

from api.resources import Resources
from store.connections import Connections
from store.removal import Removal
from store.tables import ConnectionRow, ConnectionUseRow, OAuthStateRow
from tests.activities.connecting import rows
from tests.api.connecting import CLIENT, Browser, connect, make_oauth_instance
from tests.api.setup import Json, deploy, make_instance, pointers, read
from tests.fixtures.oauth_server import OAuthServer, running_oauth_server


@pytest.fixture
async def server() -> AsyncIterator[OAuthServer]:
    async with running_oauth_server() as server:
        yield server


@pytest.fixture
async def instance(client: httpx2.AsyncClient, server: OAuthServer) -> Json:
    return await make_oauth_instance(client, server)


def at(instance: Json, key: str = "shop") -> str:
    return f"/v1/instances/{instance['id']}/connections/{key}"


async def statuses(client: httpx2.AsyncClient, instance: Json) -> dict[str, str]:
    found = await read(client, f"/v1/instances/{instance['id']}/connections")
    return {each["key"]: each["status"] for each in found["data"]}


async def refused_at(client: httpx2.AsyncClient, instance: Json) -> dict[str, str]:
    answer = await client.post(f"/v1/instances/{instance['id']}/deploy")
    assert answer.json()["code"] == "config_invalid"
    return pointers(answer)


async def refusal(app: FastAPI, client: httpx2.AsyncClient, instance: Json) -> dict[str, str]:
    """Of a deploy: what the API answers, and what the deploy itself would say."""
    found = await refused_at(client, instance)
    with pytest.raises(ApplicationError, match="connected"):
        await deploy(app, instance)
    return found


async def test_connections_come_in_definition_order(client: httpx2.AsyncClient, instance: Json) -> None:
    assert await statuses(client, instance) == {"shop": "pending", "extra": "pending"}
    config = f"/v1/instances/{instance['id']}/config"
    await client.patch(config, json={"values": {"extra": {"token": "t-secret"}}})
    assert await statuses(client, instance) == {"shop": "pending", "extra": "active"}


async def test_value_completes_what_the_definition_gives(client: httpx2.AsyncClient, server: OAuthServer) -> None:
    instance = await make_oauth_instance(client, server, shop=None)
    assert instance["config_state"] == "needs_configuration"
    refused = await client.post(f"{at(instance)}/authorize")
    assert (refused.json()["code"], pointers(refused)) == ("config_invalid", {"#/config/shop/client_id": "missing"})
    config = f"/v1/instances/{instance['id']}/config"
    answer = await client.patch(config, json={"values": {"shop": CLIENT}})
    assert answer.json()["config_state"] == "configured"
    assert CLIENT["client_secret"] not in answer.text


async def test_deploy_wants_the_connection_connected(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer, instance: Json
) -> None:
    assert await refusal(app, client, instance) == {"#/config/shop": "not_connected"}
    await connect(client, Browser(app, server), at(instance))
    await deploy(app, instance)
    config = f"/v1/instances/{instance['id']}/config"
    await client.patch(config, json={"values": {"shop": CLIENT | {"client_secret": "rotated-secret"}}})
    await deploy(app, instance)  # the same client: its tokens are good
    assert (await statuses(client, instance))["shop"] == "active"
    await client.patch(config, json={"values": {"shop": CLIENT | {"client_id": "another"}}})
    assert (await statuses(client, instance))["shop"] == "pending"
    assert await refusal(app, client, instance) == {"#/config/shop": "not_connected"}


async def test_client_credentials_need_nobody(client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer) -> None:
    instance = await make_oauth_instance(client, server, shop=CLIENT | {"grant": "client_credentials"})
    assert (await statuses(client, instance))["shop"] == "active"
    tried = await client.post(f"{at(instance)}/test")
    assert tried.json() == {"ok": True, "error": None, "status": "active"}
    await deploy(app, instance)
    server.script = [(401, {"error": "invalid_client"})]
    tried = await client.post(f"{at(instance)}/test")
    assert (tried.json()["ok"], tried.json()["status"]) == (False, "error")
    assert "invalid_client" in tried.json()["error"]
    shown = await read(client, f"/v1/instances/{instance['id']}")
    assert "invalid_client" in shown["connection_error"]
    listed = (await read(client, "/v1/instances"))["data"][0]
    assert listed["connection_error"] == shown["connection_error"]
    await client.post(f"{at(instance)}/test")
    assert (await read(client, f"/v1/instances/{instance['id']}"))["connection_error"] is None


async def test_tokens_are_imported(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer, instance: Json
) -> None:
    granted = server.grant()
    body = {name: granted[name] for name in ("access_token", "refresh_token", "expires_in")}
    answer = await client.put(f"{at(instance)}/tokens", json=body)
    assert (answer.status_code, answer.json()["status"], "secret" in answer.text) == (200, "active", False)
    assert (await client.post(f"{at(instance)}/test")).json()["ok"] is True
    assert server.calls == ["refresh_token"]
    await deploy(app, instance)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/access_token"),
        ({"access_token": ""}, "#/access_token"),
        ({"access_token": "a\nb"}, "#/access_token"),
        ({"access_token": "a", "expires_in": 0}, "#/expires_in"),
        ({"access_token": "a", "scope": "b"}, "#/scope"),
    ],
)
async def test_odd_tokens_are_refused(client: httpx2.AsyncClient, instance: Json, body: Json, pointer: str) -> None:
    answer = await client.put(f"{at(instance)}/tokens", json=body)
    assert list(pointers(answer)) == [pointer]


async def test_reconnecting_mends_what_needs_a_person(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer, instance: Json
) -> None:
    browser = Browser(app, server)
    await connect(client, browser, at(instance))
    await deploy(app, instance)
    server.end_grants()
    tried = await client.post(f"{at(instance)}/test")
    assert (tried.json()["ok"], tried.json()["status"]) == (False, "needs_reauth")
    assert await refused_at(client, instance) == {"#/config/shop": "not_connected"}
    assert (await client.post(f"{at(instance)}/test")).json()["status"] == "needs_reauth"
    assert server.calls.count("refresh_token") == 1
    events = (await read(client, f"/v1/instances/{instance['id']}/events"))["data"]
    assert [event["action"] for event in events].count("connection.needs_reauth") == 1
    await connect(client, browser, at(instance))
    assert (await statuses(client, instance))["shop"] == "active"
    assert (await client.post(f"{at(instance)}/test")).json()["ok"] is True


async def test_disconnect_forgets_the_tokens(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer, instance: Json
) -> None:
    await connect(client, Browser(app, server), at(instance))
    ended = await client.post(f"{at(instance)}/disconnect")
    assert (ended.json()["status"], ended.json()["expires_at"]) == ("pending", None)
    resources: Resources = app.state.resources
    (row,) = await rows(resources.database, ConnectionRow)
    assert (row.tokens, row.refresh_at) == (None, None)


@pytest.mark.parametrize("call", ["authorize", "test", "disconnect"])
async def test_field_that_is_none_is_not_found(client: httpx2.AsyncClient, instance: Json, call: str) -> None:
    assert (await client.post(f"{at(instance, 'nothing')}/{call}")).status_code == 404
    assert (await client.post(f"/v1/instances/inst_gone/connections/shop/{call}")).status_code == 404


async def test_fixed_inputs_are_not_authorised(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    assert (await client.post(f"{at(instance)}/test")).json() == {"ok": True, "error": None, "status": "active"}
    answer = await client.post(f"{at(instance)}/authorize")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_authorizable")


async def test_field_that_names_a_reusable_one_is_authorised_there(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer, instance: Json
) -> None:
    body = {"name": "Shop", "kind": "http/oauth2", "values": server.values()}
    shop = (await client.post("/v1/connections", json=body)).json()
    config = f"/v1/instances/{instance['id']}/config"
    await client.patch(config, json={"values": {"shop": {"connection_id": shop["id"]}}})
    answer = await client.post(f"{at(instance)}/authorize")
    assert (answer.status_code, answer.json()["code"]) == (409, "reusable_connection")
    assert await refused_at(client, instance) == {"#/config/shop/connection_id": "not_connected"}
    await connect(client, Browser(app, server), f"/v1/connections/{shop['id']}")
    await deploy(app, instance)
    assert (await client.post(f"{at(instance)}/test")).json()["ok"] is True


async def test_deleted_instance_leaves_no_connection(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer, instance: Json
) -> None:
    body = {"name": "Extra", "kind": "http/bearer", "values": {"token": "t-secret"}}
    extra = (await client.post("/v1/connections", json=body)).json()
    config = f"/v1/instances/{instance['id']}/config"
    await client.patch(config, json={"values": {"extra": {"connection_id": extra["id"]}}})
    await connect(client, Browser(app, server), at(instance))
    await client.post(f"{at(instance)}/authorize")
    await deploy(app, instance)
    resources: Resources = app.state.resources
    async with resources.database.transaction() as session:
        await Removal(session).instance(instance["id"])
    assert [row.id for row in await rows(resources.database, ConnectionRow)] == [extra["id"]]
    assert await rows(resources.database, ConnectionUseRow) == []
    assert await rows(resources.database, OAuthStateRow) == []
    assert (await read(client, f"/v1/connections/{extra['id']}"))["used_by"] == 0


async def test_another_value_forgets_what_was_wrong(client: httpx2.AsyncClient, app: FastAPI, instance: Json) -> None:
    config = f"/v1/instances/{instance['id']}/config"
    await client.patch(config, json={"values": {"extra": {"token": "one-secret"}}})
    await client.post(f"{at(instance, 'extra')}/test")
    resources: Resources = app.state.resources
    async with resources.database.transaction() as session:
        row = (await Connections(session).own(instance["id"]))["extra"]
        row.status, row.error = "error", "The service said no"
    assert (await statuses(client, instance))["extra"] == "error"
    await client.patch(config, json={"values": {"extra": {"token": "two-secret"}}})
    assert (await statuses(client, instance))["extra"] == "active"


async def test_check_of_the_definition_says_whether_it_works(
    client: httpx2.AsyncClient, server: OAuthServer, instance: Json
) -> None:
    config = f"/v1/instances/{instance['id']}/config"
    await client.patch(config, json={"values": {"extra": {"token": "wrong-secret"}}})
    tried = (await client.post(f"{at(instance, 'extra')}/test")).json()
    assert (tried["ok"], tried["status"], server.api_calls) == (False, "error", ["wrong-secret"])
    assert "answered 401" in tried["error"]
    assert "wrong-secret" not in tried["error"]
    assert (await read(client, f"/v1/instances/{instance['id']}"))["connection_error"] == tried["error"]
    await client.patch(config, json={"values": {"extra": {"token": server.grant()["access_token"]}}})
    tried = (await client.post(f"{at(instance, 'extra')}/test")).json()
    assert tried == {"ok": True, "error": None, "status": "active"}
