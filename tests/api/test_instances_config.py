from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from activities.configuration import Configuration
from store.tables import ConfigValueRow
from tests.api.setup import (
    CONFIG,
    NEXT_VERSION,
    SECRET,
    TOKEN,
    Json,
    deploy,
    make_instance,
    make_version,
    pointers,
    read,
)

NEW_SECRET = "another-secret-that-nobody-may-see"


async def stored(app: FastAPI, instance: Json) -> dict[str, Any]:
    resources = app.state.resources
    async with resources.database.snapshot() as session:
        return await Configuration(resources.vault).read(session, instance["id"])


def fields(config: Json) -> dict[str, Json]:
    return {field["key"]: field for page in config["pages"] for field in page["fields"]}


async def test_config_describes_its_pages_and_hides_secrets(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client, config=CONFIG | {"region": "us"})
    response = await client.get(f"/v1/instances/{instance['id']}/config")
    assert response.headers["etag"] == '"1"'
    config = response.json()
    assert config["config_state"] == "configured"
    assert [(page["name"], page["tagline"]) for page in config["pages"]] == [
        ("Connect", "Where your shop lives"),
        ("Options", None),
    ]
    assert fields(config)["region"] == {
        "key": "region",
        "type": "picklist",
        "label": "region",
        "description": None,
        "required": False,
        "default": "eu",
        "value": "us",
        "is_set": True,
        "options": ["eu", "us"],
        "live_options": False,
        "collection": None,
        "secret": False,
        "visible_to": "customer",
        "language": None,
        "schema": None,
        "ui_schema": None,
        "errors": [],
    }
    assert (fields(config)["hook_secret"]["value"], fields(config)["hook_secret"]["is_set"]) == (None, True)
    assert (fields(config)["shop"]["value"], fields(config)["shop"]["is_set"]) == ({}, True)
    assert (fields(config)["big_order"]["value"], fields(config)["big_order"]["is_set"]) == (None, False)
    assert TOKEN not in response.text
    assert SECRET not in response.text


async def test_config_says_what_is_missing(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client, config={})
    config = await read(client, f"/v1/instances/{instance['id']}/config")
    assert config["config_state"] == "needs_configuration"
    assert fields(config)["shop"]["errors"] == [{"code": "missing", "detail": "Shop API is required"}]


async def test_patch_changes_only_the_keys_given(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client, config=CONFIG | {"region": "us", "big_order": 5})
    await deploy(app, instance)
    path = f"/v1/instances/{instance['id']}"
    body = {"values": {"big_order": None, "hook_secret": NEW_SECRET, "endpoint": "https://b.example.com"}}
    response = await client.patch(f"{path}/config", json=body)
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    assert response.json() == await read(client, f"{path}/config")
    assert NEW_SECRET not in response.text
    assert await stored(app, instance) == {
        "shop": {"token": TOKEN},
        "hook_secret": NEW_SECRET,
        "region": "us",
        "endpoint": "https://b.example.com",
    }
    assert (await read(client, path))["needs_deploy"]
    newest = (await client.get(f"{path}/events")).json()["data"][0]
    assert newest["details"] == {"keys": ["big_order", "endpoint", "hook_secret"]}


async def test_patch_that_changes_nothing_moves_nothing(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client, config=CONFIG | {"region": "us"})
    await deploy(app, instance)
    path = f"/v1/instances/{instance['id']}"
    body = {"values": {"region": "us", "shop": {"token": TOKEN}, "big_order": None}}
    response = await client.patch(f"{path}/config", json=body)
    assert response.headers["etag"] == '"1"'
    assert not (await read(client, path))["needs_deploy"]
    assert (await client.get(f"{path}/events")).json()["data"][0]["action"] == "instance.deployed"


async def test_put_replaces_all(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client, config=CONFIG | {"region": "us"})
    path = f"/v1/instances/{instance['id']}"
    response = await client.put(f"{path}/config", json={"values": {"big_order": 7, "region": None}})
    assert response.status_code == 200
    assert response.json()["config_state"] == "needs_configuration"
    assert not fields(response.json())["hook_secret"]["is_set"]
    assert await stored(app, instance) == {"big_order": 7}
    assert (await read(client, path))["config_state"] == "needs_configuration"
    again = await client.put(f"{path}/config", json={"values": CONFIG})
    assert again.json()["config_state"] == "configured"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_config_refuses_what_does_not_fit_with_a_pointer_per_key(
    app: FastAPI, client: httpx2.AsyncClient, method: str
) -> None:
    instance = await make_instance(client)
    values = {"region": "mars", "big_order": True, "nope": 1, "shop": {"tokn": NEW_SECRET}, "nightly": {"cron": "x"}}
    response = await client.request(method, f"/v1/instances/{instance['id']}/config", json={"values": values})
    assert pointers(response) == {
        "#/values/region": "not_an_option",
        "#/values/big_order": "wrong_type",
        "#/values/nope": "unknown_key",
        "#/values/shop/tokn": "unknown_key",
        "#/values/shop/token": "missing",
        "#/values/nightly": "invalid_value",
    }
    assert NEW_SECRET not in response.text
    assert await stored(app, instance) == CONFIG


@pytest.mark.parametrize("body", [{}, {"values": []}, {"values": {}, "more": 1}])
async def test_config_refuses_another_shape(client: httpx2.AsyncClient, body: Json) -> None:
    instance = await make_instance(client)
    assert (await client.patch(f"/v1/instances/{instance['id']}/config", json=body)).status_code == 422


async def test_config_has_an_etag_of_its_own(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"/v1/instances/{instance['id']}"
    await client.patch(path, json={"name": "Renamed"})
    body = {"values": {"region": "us"}}
    assert (await client.patch(f"{path}/config", json=body, headers={"If-Match": '"1"'})).status_code == 200
    assert (await client.get(path)).headers["etag"] == '"2"'
    for method in ("PATCH", "PUT"):
        stale = await client.request(method, f"{path}/config", json={"values": {}}, headers={"If-Match": '"1"'})
        assert (stale.status_code, stale.json()["code"]) == (412, "version_conflict")


async def test_config_follows_the_version_that_is_chosen(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"/v1/instances/{instance['id']}"
    second = await make_version(client, NEXT_VERSION)
    await client.patch(path, json={"version_id": second["id"]})
    response = await client.get(f"{path}/config")
    assert list(fields(response.json())) == ["api_version"]
    assert response.headers["etag"] == '"2"'
    await client.patch(f"{path}/config", json={"values": {"api_version": "2"}})
    await client.patch(path, json={"version_id": instance["version"]["id"]})
    assert (await read(client, path))["config_state"] == "configured"


async def test_secrets_are_stored_encrypted(app: FastAPI, client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    async with app.state.resources.database.snapshot() as session:
        rows = (await session.scalars(select(ConfigValueRow))).all()
    assert {row.key for row in rows} == {"shop", "hook_secret"}
    for row in rows:
        assert row.value is None
        assert row.secret is not None
        assert TOKEN.encode() not in row.secret
        assert SECRET.encode() not in row.secret
    assert await stored(app, instance) == CONFIG
