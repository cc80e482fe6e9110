from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.resources import Resources
from store.customers import Customers
from tests.api.connecting import Browser, connect
from tests.api.setup import Json, deploy, made, make_customer, make_instance, pointers, read
from tests.fixtures.oauth_server import SECRET, OAuthServer, running_oauth_server

TOKEN = "reusable-token-that-nobody-may-see"
SHOP = {"name": "Shop API", "kind": "http/bearer", "values": {"token": TOKEN}}
BASIC = {"name": "Ledger", "kind": "http/basic", "values": {"username": "ann", "password": TOKEN}}


@pytest.fixture
async def server() -> AsyncIterator[OAuthServer]:
    async with running_oauth_server() as server:
        yield server


async def make_connection(client: httpx2.AsyncClient, **given: Any) -> Json:
    return await made(client, "/v1/connections", SHOP | given)


def at(connection: Json) -> str:
    return f"/v1/connections/{connection['id']}"


async def test_connection_is_created_without_showing_its_secret(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/v1/connections", json=BASIC)
    assert (answer.status_code, TOKEN in answer.text) == (201, False)
    found = answer.json()
    assert found["values"] == {"username": "ann"}
    assert (found["status"], found["customer_id"], found["used_by"]) == ("active", None, 0)
    assert await read(client, at(found)) == found
    assert answer.headers["etag"] == '"1"'


@pytest.mark.parametrize(
    ("given", "pointer", "code"),
    [
        ({"kind": "http/baerer"}, "#/kind", "invalid_value"),
        ({"values": {}}, "#/values/token", "missing"),
        ({"values": {"tokn": "a"}}, "#/values/tokn", "unknown_key"),
        ({"values": {"token": "a\nb"}}, "#/values/token", "invalid_value"),
        ({"values": {"connection_id": "conn_1"}}, "#/values/connection_id", "unknown_key"),
        ({"values": [1]}, "#/values", "dict_type"),
        ({"customer_id": "cust_gone"}, "#/customer_id", "not_found"),
        ({"name": ""}, "#/name", "string_too_short"),
        ({"status": "active"}, "#/status", "unknown_field"),
    ],
)
async def test_odd_connection_is_refused(client: httpx2.AsyncClient, given: Json, pointer: str, code: str) -> None:
    found = pointers(await client.post("/v1/connections", json=SHOP | given))
    assert found[pointer] == code


async def test_name_is_unique_for_its_owner(client: httpx2.AsyncClient) -> None:
    owner = await make_customer(client)
    await make_connection(client)
    await make_connection(client, customer_id=owner["id"])
    for given in ({}, {"customer_id": owner["id"]}):
        again = await client.post("/v1/connections", json=SHOP | given)
        assert pointers(again, 409) == {"#/name": "already_exists"}
    other = await make_connection(client, name="Other")
    assert (await client.patch(at(other), json={"name": "Shop API"})).status_code == 409


async def test_connections_are_listed_by_what_is_asked(client: httpx2.AsyncClient) -> None:
    owner = await make_customer(client)
    theirs = await make_connection(client, customer_id=owner["id"], name="Theirs")
    ours = await made(client, "/v1/connections", BASIC)

    async def ids(**query: Any) -> list[str]:
        return [each["id"] for each in (await read(client, "/v1/connections", **query))["data"]]

    assert await ids() == [ours["id"], theirs["id"]]
    assert await ids(customer_id=owner["id"]) == await ids(kind="http/bearer") == await ids(q="thei") == [theirs["id"]]
    assert await ids(customer_id="organization") == [ours["id"]]
    assert await ids(status="error") == []


async def test_change_takes_only_what_is_given(client: httpx2.AsyncClient, app: FastAPI) -> None:
    made_now = await made(client, "/v1/connections", BASIC)
    answer = await client.patch(at(made_now), json={"values": {"username": "bob"}}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert answer.json()["values"] == {"username": "bob"}
    stale = await client.patch(at(made_now), json={"name": "X"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_conflict")
    assert pointers(await client.patch(at(made_now), json={"values": {"password": None}})) == {
        "#/values/password": "missing"
    }
    same = await client.patch(at(made_now), json={"values": {"username": "bob"}})
    assert same.headers["etag"] == '"2"'


async def test_instance_uses_a_connection_and_holds_it(client: httpx2.AsyncClient, app: FastAPI) -> None:
    shop = await make_connection(client)
    instance = await make_instance(client, config={"shop": {"connection_id": shop["id"]}})
    assert instance["config_state"] == "configured"
    fields = (await read(client, f"/v1/instances/{instance['id']}/config"))["pages"][0]["fields"]
    assert fields[0]["value"] == {"connection_id": shop["id"]}
    (found,) = (await read(client, f"/v1/instances/{instance['id']}/connections"))["data"]
    assert (found["key"], found["status"], found["connection_id"]) == ("shop", "active", shop["id"])
    await deploy(app, instance)
    assert (await read(client, at(shop)))["used_by"] == 1

    refused = await client.delete(at(shop))
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    config = f"/v1/instances/{instance['id']}/config"
    await client.patch(config, json={"values": {"shop": {"token": "own"}}})
    assert (await client.delete(at(shop))).json()["code"] == "in_use"  # what is deployed uses it still
    await deploy(app, instance)
    assert (await client.delete(at(shop))).status_code == 204
    assert (await client.get(at(shop))).status_code == 404


async def test_value_points_at_a_connection_that_fits(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    stranger = await make_customer(client, "Stranger")
    wrong = {
        (await made(client, "/v1/connections", BASIC))["id"]: "wrong_kind",
        (await make_connection(client, customer_id=stranger["id"]))["id"]: "not_found",
        "conn_gone": "not_found",
    }
    for connection_id, code in wrong.items():
        body = {"values": {"shop": {"connection_id": connection_id}}}
        answer = await client.patch(f"/v1/instances/{instance['id']}/config", json=body)
        assert pointers(answer) == {"#/values/shop/connection_id": code}
    theirs = await make_connection(client, customer_id=instance["customer"]["id"])
    body = {"values": {"shop": {"connection_id": theirs["id"]}}}
    assert (await client.patch(f"/v1/instances/{instance['id']}/config", json=body)).status_code == 200
    created = {"customer_id": stranger["id"], "integration_id": instance["integration"]["id"], "name": "Odd"}
    answer = await client.post("/v1/instances", json=created | {"config": {"shop": {"connection_id": theirs["id"]}}})
    assert pointers(answer) == {"#/config/shop/connection_id": "not_found"}


async def test_reusable_oauth_connection_is_authorised_once_for_all(
    client: httpx2.AsyncClient, app: FastAPI, server: OAuthServer
) -> None:
    shop = await make_connection(
        client, kind="http/oauth2", values=server.values(revocation_url=f"{server.url}/revoke")
    )
    assert (shop["status"], SECRET in str(shop)) == ("pending", False)
    tried = await client.post(f"{at(shop)}/test")
    assert (tried.json()["ok"], tried.json()["error"]) == (False, "The connection Shop API is not connected")
    await connect(client, Browser(app, server), at(shop))
    assert (await read(client, at(shop)))["status"] == "active"
    tried = await client.post(f"{at(shop)}/test")
    assert tried.json() == {"ok": True, "error": None, "status": "active"}
    assert server.calls == ["authorization_code", "refresh_token"]

    ended = await client.post(f"{at(shop)}/disconnect")
    assert (ended.json()["status"], ended.json()["connected_at"], len(server.revoked)) == ("pending", None, 1)
    assert server.revoked[0].startswith("refresh-")
    again = await client.post(f"{at(shop)}/disconnect")
    assert (again.status_code, len(server.revoked)) == (200, 1)


async def test_disconnect_stands_when_the_provider_is_away(client: httpx2.AsyncClient, server: OAuthServer) -> None:
    values = server.values(revocation_url="http://127.0.0.1:1/revoke")
    shop = await make_connection(client, kind="http/oauth2", values=values)
    await client.put(f"{at(shop)}/tokens", json={"access_token": "a-secret"})
    ended = await client.post(f"{at(shop)}/disconnect")
    assert (ended.status_code, ended.json()["status"]) == (200, "pending")


async def test_another_client_must_be_authorised_again(client: httpx2.AsyncClient, server: OAuthServer) -> None:
    shop = await make_connection(client, kind="http/oauth2", values=server.values())
    await client.put(f"{at(shop)}/tokens", json={"access_token": "a-secret"})
    kept = await client.patch(at(shop), json={"values": {"client_secret": "another-secret"}})
    assert kept.json()["status"] == "active"
    other = await client.patch(at(shop), json={"values": {"client_id": "another"}})
    assert (other.json()["status"], other.json()["connected_at"]) == ("pending", None)


async def test_only_oauth_connections_have_tokens(client: httpx2.AsyncClient, server: OAuthServer) -> None:
    shop = await make_connection(client)
    assert (await client.post(f"{at(shop)}/test")).json()["ok"] is True
    for answer in (
        await client.post(f"{at(shop)}/authorize"),
        await client.post(f"{at(shop)}/disconnect"),
        await client.put(f"{at(shop)}/tokens", json={"access_token": "a"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "not_authorizable")
    machine = await make_connection(
        client, name="M", kind="http/oauth2", values=server.values(grant="client_credentials")
    )
    assert machine["status"] == "active"
    assert (await client.post(f"{at(machine)}/authorize")).json()["code"] == "not_authorizable"
    assert (await client.post(f"{at(machine)}/test")).json()["ok"] is True


async def test_deleting_a_customer_takes_its_connections_along(client: httpx2.AsyncClient, app: FastAPI) -> None:
    owner = await make_customer(client)
    theirs = await make_connection(client, customer_id=owner["id"], kind="http/oauth2", values=OAuthServer().values())
    await client.post(f"{at(theirs)}/authorize")
    resources: Resources = app.state.resources
    async with resources.database.transaction() as session:
        assert await Customers(session).delete(owner["id"])
    assert (await client.get(at(theirs))).status_code == 404
