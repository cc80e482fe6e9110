"""Drafts of a configuration, live options, what customers see, and many writers at once."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from api.app import create_app
from store.tables import ConfigDraftRow
from tests.api.conftest import serving, settings_for
from tests.api.setup import CONFIG, NEXT_VERSION, Json, make_instance, make_key, make_version, pointers, read
from tests.api.test_instances_config import fields
from tests.e2e.target import Answer, Spot, running_target
from tests.fakes_gateway import FakeGateway

DRAFTED = "drafted-secret-that-nobody-may-see"
ASKING = """\
schema: flowgraft/v1
key: asking
name: Asking
config:
  - page: Connect
    fields:
      - {key: shop, type: connection, connection: http/bearer}
      - {key: endpoint, type: string}
  - page: Options
    fields:
      - key: region
        type: picklist
        options_from:
          {action: http.get, connection: shop, inputs: {url: "{{ config.endpoint }}/regions"}, items: body, value: id}
      - {key: size, type: picklist, options: [small, 5]}
      - {key: tenant, type: string, visible_to: embedded}
      - {key: rate, type: number, visible_to: organization, default: 5}
      - {key: since, type: timestamp, required: false}
flows: [{key: f, trigger: {type: webhook}, steps: []}]
"""


async def drafts(client: httpx2.AsyncClient, path: str, **query: str) -> list[Json]:
    listing = await read(client, f"{path}/config/drafts", **query)
    assert (listing["next_cursor"], listing["has_more"]) == (None, False)
    data: list[Json] = listing["data"]
    return data


async def put(client: httpx2.AsyncClient, path: str, page: str, values: Json, **query: str) -> httpx2.Response:
    return await client.put(f"{path}/config/drafts/{page}", json={"values": values}, params=query)


async def asking(client: httpx2.AsyncClient, **config: Any) -> str:
    version = await make_version(client, ASKING)
    instance = await make_instance(client, integration_id=version["integration_id"], config=config)
    return f"/v1/instances/{instance['id']}"


# Drafts


async def test_draft_is_kept_and_applies_nothing(app: FastAPI, client: httpx2.AsyncClient) -> None:
    path = f"/v1/instances/{(await make_instance(client))['id']}"
    saved = await put(client, path, "Connect", {"hook_secret": DRAFTED, "endpoint": None, "shop": {"token": DRAFTED}})
    assert saved.status_code == 200
    assert saved.json() | {"created_at": "", "updated_at": ""} == {
        "id": "0",
        "name": "Connect",
        "fields": [
            {"key": "shop", "value": {}, "is_set": True},
            {"key": "endpoint", "value": None, "is_set": False},
            {"key": "hook_secret", "value": None, "is_set": True},
        ],
        "created_at": "",
        "updated_at": "",
    }
    assert await drafts(client, path) == [saved.json()]
    assert not fields(await read(client, f"{path}/config"))["endpoint"]["is_set"]
    events = (await client.get(f"{path}/events")).json()["data"]
    assert events[0]["action"] == "instance.config_drafted"
    assert events[0]["details"] == {"page": 0, "keys": ["endpoint", "hook_secret", "shop"]}
    async with app.state.resources.database.snapshot() as session:
        (row,) = await session.scalars(select(ConfigDraftRow))
    assert DRAFTED.encode() not in row.values
    assert DRAFTED not in saved.text + str(events)


async def test_draft_of_a_page_is_replaced(client: httpx2.AsyncClient) -> None:
    path = f"/v1/instances/{(await make_instance(client))['id']}"
    await put(client, path, "1", {"region": "us", "big_order": 7})
    second = (await put(client, path, "Options", {"region": "eu"})).json()
    assert [each["fields"] for each in await drafts(client, path)] == [second["fields"]]
    assert second["fields"] == [{"key": "region", "value": "eu", "is_set": True}]


async def test_draft_is_checked_value_by_value(client: httpx2.AsyncClient) -> None:
    path = f"/v1/instances/{(await make_instance(client))['id']}"
    wrong = await put(client, path, "Options", {"region": "mars", "big_order": "many", "nope": 1})
    assert pointers(wrong) == {
        "#/values/region": "not_an_option",
        "#/values/big_order": "wrong_type",
        "#/values/nope": "unknown_key",
    }
    elsewhere = await put(client, path, "Options", {"endpoint": "https://b.example.com"})
    assert elsewhere.json()["errors"] == [
        {"pointer": "#/values/endpoint", "code": "other_page", "detail": "endpoint is on the page Connect"}
    ]
    assert await drafts(client, path) == []


@pytest.mark.parametrize("page", ["2", "-1", "Nope", "00001"])
async def test_draft_of_a_page_that_is_not_there(client: httpx2.AsyncClient, page: str) -> None:
    path = f"/v1/instances/{(await make_instance(client))['id']}"
    assert (await put(client, path, page, {})).status_code == 404
    assert (await client.delete(f"{path}/config/drafts/{page}")).status_code == 404


async def test_draft_is_discarded(client: httpx2.AsyncClient) -> None:
    path = f"/v1/instances/{(await make_instance(client))['id']}"
    await put(client, path, "Options", {"region": "us"})
    assert (await client.delete(f"{path}/config/drafts/Options")).status_code == 204
    assert (await client.delete(f"{path}/config/drafts/Options")).status_code == 404
    assert await drafts(client, path) == []


async def test_drafts_are_applied_as_one_change(client: httpx2.AsyncClient) -> None:
    path = f"/v1/instances/{(await make_instance(client, config=CONFIG | {'big_order': 3}))['id']}"
    await put(client, path, "Options", {"region": "us", "big_order": None})
    await put(client, path, "Connect", {"endpoint": "https://b.example.com", "hook_secret": DRAFTED})
    applied = await client.post(f"{path}/config/drafts/apply", headers={"If-Match": '"1"'})
    assert (applied.status_code, applied.headers["etag"]) == (200, '"2"')
    values = {key: field["value"] for key, field in fields(applied.json()).items()}
    assert (values["region"], values["big_order"], values["endpoint"]) == ("us", None, "https://b.example.com")
    assert await drafts(client, path) == []
    newest, before = (await client.get(f"{path}/events")).json()["data"][:2]
    assert newest["action"] == "instance.config_drafts_applied"
    assert before["details"] == {"keys": ["big_order", "endpoint", "hook_secret", "region"]}
    assert DRAFTED not in applied.text
    assert (await client.post(f"{path}/config/drafts/apply")).headers["etag"] == '"2"'


async def test_drafts_that_are_refused_stay(client: httpx2.AsyncClient) -> None:
    path = f"/v1/instances/{(await make_instance(client))['id']}"
    await put(client, path, "Options", {"region": "us"})
    stale = await client.post(f"{path}/config/drafts/apply", headers={"If-Match": '"7"'})
    assert (stale.status_code, len(await drafts(client, path))) == (412, 1)


async def test_drafts_that_no_longer_fit_stay(app: FastAPI, client: httpx2.AsyncClient) -> None:
    path = f"/v1/instances/{(await make_instance(client))['id']}"
    connection = await client.post(
        "/v1/connections", json={"name": "C", "kind": "http/bearer", "values": {"token": "t"}}
    )
    await put(client, path, "Connect", {"shop": {"connection_id": connection.json()["id"]}})
    await client.delete(f"/v1/connections/{connection.json()['id']}")
    refused = await client.post(f"{path}/config/drafts/apply")
    assert pointers(refused) == {"#/values/shop/connection_id": "not_found"}
    assert len(await drafts(client, path)) == 1


async def test_another_version_cancels_drafts(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"/v1/instances/{instance['id']}"
    await put(client, path, "Options", {"region": "us"})
    second = await make_version(client, NEXT_VERSION)
    await client.patch(path, json={"version_id": second["id"]})
    assert await drafts(client, path) == []
    await client.patch(path, json={"version_id": instance["version"]["id"]})
    assert await drafts(client, path) == []


async def test_drafts_want_the_scope_to_write(client: httpx2.AsyncClient) -> None:
    path = f"/v1/instances/{(await make_instance(client))['id']}"
    reader = await make_key(client, "read")
    for method, url in (("PUT", "drafts/Options"), ("DELETE", "drafts/Options"), ("POST", "drafts/apply")):
        body: Json | None = {"values": {}} if method == "PUT" else None
        refused = await client.request(method, f"{path}/config/{url}", headers=reader, json=body)
        assert refused.status_code == 403
    assert (await client.get(f"{path}/config/drafts", headers=reader)).status_code == 200
    assert (await client.get(f"{path}/config/fields/region/options", headers=reader)).status_code == 403


# What customers see


async def test_customers_neither_see_nor_set_what_is_hidden(client: httpx2.AsyncClient) -> None:
    path = await asking(client, tenant="t1")
    seen = await read(client, f"{path}/config", view="customer")
    assert list(fields(seen)) == ["shop", "endpoint", "region", "size", "since"]
    for method in ("PATCH", "PUT"):
        body = {"values": {"size": 5, "rate": 9, "tenant": "t2"}}
        refused = await client.request(method, f"{path}/config", params={"view": "customer"}, json=body)
        assert pointers(refused) == {"#/values/rate": "not_visible", "#/values/tenant": "not_visible"}
    assert pointers(await put(client, path, "Options", {"rate": 9}, view="customer")) == {
        "#/values/rate": "not_visible"
    }
    changed = await client.patch(f"{path}/config", params={"view": "customer"}, json={"values": {"size": 5}})
    assert (fields(changed.json())["size"]["value"], "tenant" in fields(changed.json())) == (5, False)


async def test_customer_who_replaces_all_leaves_what_is_hidden(client: httpx2.AsyncClient) -> None:
    path = await asking(client, tenant="t1", rate=7, size=5)
    replaced = await client.put(
        f"{path}/config", params={"view": "customer"}, json={"values": {"endpoint": "https://b.example.com"}}
    )
    assert replaced.status_code == 200
    values = {key: field["value"] for key, field in fields(await read(client, f"{path}/config")).items()}
    assert (values["tenant"], values["rate"], values["size"]) == ("t1", 7, None)


async def test_organisation_sets_what_is_hidden(client: httpx2.AsyncClient) -> None:
    path = await asking(client)
    changed = await client.patch(f"{path}/config", json={"values": {"tenant": "t1", "rate": 9}})
    assert (fields(changed.json())["tenant"]["value"], fields(changed.json())["rate"]["value"]) == ("t1", 9)
    await put(client, path, "Options", {"rate": 11, "size": 5})
    (shown,) = await drafts(client, path, view="customer")
    assert [field["key"] for field in shown["fields"]] == ["size"]


async def test_there_is_one_other_view(client: httpx2.AsyncClient) -> None:
    path = await asking(client)
    assert (await client.get(f"{path}/config", params={"view": "staff"})).status_code == 422


# Kept forms


async def test_timestamps_are_kept_in_utc(client: httpx2.AsyncClient) -> None:
    path = await asking(client, since="2026-03-01T12:00:00+01:00")
    assert fields(await read(client, f"{path}/config"))["since"]["value"] == "2026-03-01T11:00:00Z"
    same = await client.patch(f"{path}/config", json={"values": {"since": "2026-03-01T13:00:00+02:00"}})
    assert same.headers["etag"] == '"1"'


# Options


@pytest.fixture
async def spot() -> AsyncIterator[Spot]:
    async with running_target() as target:
        yield target.spot()


@pytest.fixture
async def asker(sqlite_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Of an application that may reach this machine."""
    settings = settings_for(sqlite_url).model_copy(update={"allowed_networks": [ip_network("127.0.0.0/8")]})
    async with serving(create_app(settings, gateway=FakeGateway())) as client:
        yield client


async def test_options_are_listed_live_with_what_is_drafted(asker: httpx2.AsyncClient, spot: Spot) -> None:
    path = await asking(asker, endpoint="https://nowhere.example.com")
    spot.script("/regions", Answer(body=[{"id": "eu"}, {"id": 7}]), Answer(status=503))
    await put(asker, path, "Connect", {"shop": {"token": DRAFTED}, "endpoint": spot.url})
    assert await read(asker, f"{path}/config/fields/region/options") == {
        "data": [{"value": "eu", "label": "eu"}, {"value": 7, "label": "7"}],
        "next_cursor": None,
        "has_more": False,
    }
    assert spot.calls[0].headers["authorization"] == f"Bearer {DRAFTED}"
    refused = await asker.get(f"{path}/config/fields/region/options")
    assert (refused.status_code, refused.json()["code"]) == (422, "options_unavailable")
    assert "answered 503 Service Unavailable" in refused.json()["errors"][0]["detail"]
    assert DRAFTED not in refused.text
    set_all = await asker.patch(f"{path}/config", json={"values": {"region": "whatever it lists tomorrow"}})
    assert set_all.status_code == 200


async def test_options_of_the_definition_have_the_same_form(client: httpx2.AsyncClient) -> None:
    path = await asking(client)
    listing = await read(client, f"{path}/config/fields/size/options")
    assert listing["data"] == [{"value": "small", "label": "small"}, {"value": 5, "label": "5"}]


@pytest.mark.parametrize("key", ["endpoint", "nope"])
async def test_field_without_options(client: httpx2.AsyncClient, key: str) -> None:
    path = await asking(client)
    assert (await client.get(f"{path}/config/fields/{key}/options")).status_code == 404


async def test_options_without_their_connection(client: httpx2.AsyncClient) -> None:
    path = await asking(client)
    refused = await client.get(f"{path}/config/fields/region/options")
    assert pointers(refused) == {"#/config/shop": "missing"}


# Many at once

COUNTING = NEXT_VERSION.replace("{key: api_version, type: string}", "{key: seen, type: number, collection: map}")


@pytest.fixture
async def counting(database_url: str) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """A client, and the address of a configuration whose one field keeps numbers by key."""
    async with serving(create_app(settings_for(database_url), gateway=FakeGateway())) as client:
        integration = (await make_version(client, COUNTING))["integration_id"]
        instance = await make_instance(client, integration_id=integration, config={})
        yield client, f"/v1/instances/{instance['id']}/config"


async def test_concurrent_writes_on_one_revision_let_one_through(counting: tuple[httpx2.AsyncClient, str]) -> None:
    client, path = counting
    writes = [
        client.patch(path, json={"values": {"seen": {"winner": number}}}, headers={"If-Match": '"1"'})
        for number in range(20)
    ]
    answers = await asyncio.gather(*writes)
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    (winner,) = (answer for answer in answers if answer.status_code == 200)
    found = await client.get(path)
    assert found.headers["etag"] == '"2"'
    assert fields(found.json())["seen"]["value"] == fields(winner.json())["seen"]["value"]


async def test_concurrent_writers_who_try_again_lose_no_update(counting: tuple[httpx2.AsyncClient, str]) -> None:
    client, path = counting

    async def add(number: int) -> None:
        """Reads, adds its own key, and begins anew when somebody else has written meanwhile."""
        status = 412
        while status == 412:
            found = await client.get(path)
            seen = fields(found.json())["seen"]["value"] or {}
            body = {"values": {"seen": seen | {f"k{number}": number}}}
            status = (await client.patch(path, json=body, headers={"If-Match": found.headers["etag"]})).status_code
        assert status == 200

    await asyncio.gather(*map(add, range(20)))
    found = await client.get(path)
    assert fields(found.json())["seen"]["value"] == {f"k{number}": number for number in range(20)}
    assert found.headers["etag"] == '"21"'
