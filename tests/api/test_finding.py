"""Sorted lists, labels on offer and saved views."""

from typing import Any

import httpx2
import pytest

from tests.api.setup import made, make_customer, make_instance, make_key, make_version, read

Json = dict[str, Any]
NAMES = ["b", "a", "d", "c", "b"]


@pytest.fixture
async def made_instances(client: httpx2.AsyncClient) -> Json:
    parents = {
        "customer_id": (await make_customer(client))["id"],
        "integration_id": (await make_version(client))["integration_id"],
    }
    for name in NAMES:
        await make_instance(client, name=name, **parents)
    return parents


async def walked(client: httpx2.AsyncClient, **query: Any) -> list[str]:
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await read(client, "/v1/instances", **query, **cursor)
        names += [each["name"] for each in page["data"]]
        if not page["has_more"]:
            return names
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.usefixtures("made_instances")
@pytest.mark.parametrize("by", ["name", "created_at", "updated_at", "customer", "integration", "version"])
async def test_instances_are_sorted_both_ways(client: httpx2.AsyncClient, by: str) -> None:
    names = await walked(client, sort=by, limit=2)
    assert sorted(names) == sorted(NAMES)
    assert names == list(reversed(await walked(client, sort=f"-{by}", limit=2)))
    assert names == (sorted(NAMES) if by == "name" else NAMES)


async def test_sorted_pages_stay_when_rows_come(client: httpx2.AsyncClient, made_instances: Json) -> None:
    first = await read(client, "/v1/instances", sort="name", limit=2)
    await make_instance(client, name="aa", **made_instances)
    second = await read(client, "/v1/instances", sort="name", limit=2, cursor=first["next_cursor"])
    assert [each["name"] for each in first["data"] + second["data"]] == ["a", "b", "b", "c"]


@pytest.mark.usefixtures("made_instances")
async def test_a_cursor_belongs_to_its_order(client: httpx2.AsyncClient) -> None:
    first = await read(client, "/v1/instances", sort="name", limit=2)
    response = await client.get("/v1/instances", params={"sort": "-name", "cursor": first["next_cursor"]})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")


async def test_the_longest_name_fits_its_cursor(client: httpx2.AsyncClient, made_instances: Json) -> None:
    for letter in "xy":
        await make_instance(client, name="🥐" * 199 + letter, **made_instances)
    assert len(await walked(client, sort="-name", limit=1)) == len(NAMES) + 2


async def test_an_unknown_order_is_refused(client: httpx2.AsyncClient) -> None:
    response = await client.get("/v1/instances?sort=colour")
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "#/query/sort")


async def test_instances_are_found_by_state(client: httpx2.AsyncClient, made_instances: Json) -> None:
    await make_instance(client, name="gone", **made_instances)
    gone = (await read(client, "/v1/instances", q="gone"))["data"][0]
    await client.delete(f"/v1/instances/{gone['id']}", params={"confirm_name": "gone"})
    assert await walked(client, state="deleting") == ["gone"]
    assert len(await walked(client, state="not_deployed")) == len(NAMES)
    assert await walked(client, state=["enabled", "paused"]) == []


async def test_an_unconfigured_instance_is_shown_to_its_customer_when_allowed(client: httpx2.AsyncClient) -> None:
    whole = await make_instance(client)
    bare = await make_instance(
        client, customer_id=whole["customer"]["id"], integration_id=whole["integration"]["id"], name="Bare", config={}
    )
    assert bare["config_state"] == "needs_configuration"
    query: Json = {"customer_id": whole["customer"]["id"], "visible_to_customer": "true"}
    assert await walked(client, **query) == [whole["name"]]
    await client.patch(f"/v1/customers/{whole['customer']['id']}", json={"show_all_instances": True})
    assert await walked(client, **query) == ["Bare", whole["name"]]


async def test_labels_are_offered(client: httpx2.AsyncClient, made_instances: Json) -> None:
    await make_instance(client, labels=["EU", "east"], **made_instances)
    await make_instance(client, labels=["eu"], **made_instances)
    first = await read(client, "/v1/labels", q="E", limit=2)
    assert first["data"] == [{"label": "east", "count": 1}, {"label": "erp", "count": len(NAMES)}]
    rest = await read(client, "/v1/labels", q="E", limit=2, cursor=first["next_cursor"])
    assert rest["data"] == [{"label": "eu", "count": 2}]
    assert (await read(client, "/v1/labels", resource="customers"))["data"] == []


async def test_a_view_is_saved_used_changed_and_forgotten(client: httpx2.AsyncClient, made_instances: Json) -> None:
    await make_instance(client, name="labelled", labels=["eu"], **made_instances)
    query = {"label": ["eu"], "enabled": ["true"], "sort": ["name"]}
    view = await made(client, "/v1/views", {"name": "Europe", "resource": "instances", "query": query})
    assert view["path"] == "/v1/instances?label=eu&enabled=true&sort=name"
    listed = (await client.get(view["path"])).json()["data"]
    assert [each["name"] for each in listed] == ["labelled"]

    changed = await client.patch(f"/v1/views/{view['id']}", json={"name": "EU"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"], changed.json()["query"]) == (200, '"2"', query)
    stale = await client.patch(f"/v1/views/{view['id']}", json={"name": "X"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert (await read(client, "/v1/views", resource="instances", name="EU"))["data"] == [changed.json()]
    assert (await read(client, "/v1/views", resource="logs"))["data"] == []
    assert (await client.delete(f"/v1/views/{view['id']}")).status_code == 204
    assert (await client.get(f"/v1/views/{view['id']}")).status_code == 404


async def test_names_of_views_are_unique(client: httpx2.AsyncClient) -> None:
    body = {"name": "Mine", "resource": "logs", "query": {"q": ["x"]}}
    view = await made(client, "/v1/views", body)
    assert (await client.post("/v1/views", json=body)).json()["code"] == "already_exists"
    assert (await client.patch(f"/v1/views/{view['id']}", json={"name": "Mine"})).status_code == 200


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ({"lable": ["eu"]}, "#/query/lable", "unknown_parameter"),
        ({"enabled": ["perhaps"]}, "#/query/enabled/0", "bool_parsing"),
        ({"q": ["a", "b"]}, "#/query/q", "repeated"),
        ({"sort": ["colour"]}, "#/query/sort", "literal_error"),
        ({"label": []}, "#/query/label", "too_short"),
    ],
)
async def test_a_view_holds_only_what_its_list_takes(
    client: httpx2.AsyncClient, query: Json, pointer: str, code: str
) -> None:
    response = await client.post("/v1/views", json={"name": "x", "resource": "instances", "query": query})
    assert response.status_code == 422
    assert (response.json()["errors"][0]["pointer"], response.json()["errors"][0]["code"]) == (pointer, code)


async def test_the_audit_trail_says_who_did_what(client: httpx2.AsyncClient) -> None:
    writer = await make_key(client, "write")
    response = await client.post("/v1/customers", json={"name": "Audited"}, headers=writer)
    customer_id = response.json()["id"]
    await client.patch(f"/v1/customers/{customer_id}", json={"labels": ["a"]})
    trail = (await read(client, "/v1/audit", customer_id=customer_id))["data"]
    assert [(each["action"], each["principal"] == "bootstrap") for each in trail] == [
        ("customer.updated", True),
        ("customer.created", False),
    ]
    assert trail[0]["details"] == {"changed": ["labels"]}
    by_key = await read(client, "/v1/audit", principal=trail[1]["principal"])
    assert [each["object_id"] for each in by_key["data"]] == [customer_id]
    assert len((await read(client, "/v1/audit", action="customer"))["data"]) == 2
    assert len((await read(client, "/v1/audit", action="customer.created"))["data"]) == 1
    assert (await read(client, "/v1/audit", after="2100-01-01T00:00:00Z"))["data"] == []
    assert (await read(client, "/v1/audit", before="2000-01-01T00:00:00Z"))["data"] == []
    assert (await client.get("/v1/audit", headers=writer)).status_code == 403
