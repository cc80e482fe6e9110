import json
from typing import Any

import httpx2
import pytest

from api.integrations.schemas import EXAMPLE

Json = dict[str, Any]

YAML = {"Content-Type": "application/yaml"}
BROKEN = EXAMPLE.replace("log.write", "log.wriet")


async def put(client: httpx2.AsyncClient, text: str = EXAMPLE, **headers: str) -> httpx2.Response:
    return await client.post("/v1/integrations", content=text.encode(), headers=YAML | headers)


async def published(client: httpx2.AsyncClient, text: str = EXAMPLE) -> tuple[str, Json]:
    """The integration's id and the version."""
    integration_id = (await put(client, text)).json()["id"]
    response = await client.post(f"/v1/integrations/{integration_id}/versions")
    assert response.status_code == 201, response.text
    return integration_id, response.json()


async def test_definition_makes_an_integration(client: httpx2.AsyncClient) -> None:
    text = EXAMPLE + "description: Tells of orders\ncategory: ERP\nlabels: [ERP, orders, erp]\n"
    response = await put(client, text)
    assert (response.status_code, response.headers["etag"]) == (201, '"1"')
    integration = response.json()
    assert integration["id"].startswith("intg_")
    wanted = {
        "key": "order-sync",
        "name": "Order sync",
        "description": "Tells of orders",
        "category": "ERP",
        "labels": ["erp", "orders"],
        "latest_version": None,
        "has_unpublished_changes": True,
        "instance_count": 0,
        "marketplace": None,
    }
    assert integration == integration | wanted
    path = f"/v1/integrations/{integration['id']}"
    assert (await client.get(path)).json() == integration
    definition = await client.get(f"{path}/definition")
    assert (definition.text, definition.headers["content-type"]) == (text, "application/yaml")
    assert definition.headers["etag"] == '"1"'


@pytest.mark.parametrize(
    "content_type", ["application/yaml", "application/x-yaml", "text/yaml", "text/yaml; charset=utf-8"]
)
async def test_yaml_by_any_of_its_names(client: httpx2.AsyncClient, content_type: str) -> None:
    assert (await put(client, **{"Content-Type": content_type})).status_code == 201


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/yaml;charset=latin1"]
)
async def test_definition_of_another_kind(client: httpx2.AsyncClient, content_type: str) -> None:
    response = await put(client, **{"Content-Type": content_type})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


async def test_definition_within_json(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/integrations", json={"definition": EXAMPLE})
    assert response.status_code == 201
    definition = await client.get(f"/v1/integrations/{response.json()['id']}/definition")
    assert definition.text == EXAMPLE


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "#/definition"),
        ({"definition": 5}, 422, "#/definition"),
        ({"definition": EXAMPLE, "key": "x"}, 422, "#/key"),
        ([], 422, "#"),
        ({"definition": "a: b: c"}, 422, "#"),
    ],
)
async def test_json_around_a_definition_is_strict(
    client: httpx2.AsyncClient, body: Any, status: int, pointer: str
) -> None:
    response = await client.post("/v1/integrations", json=body)
    assert response.status_code == status
    assert response.json()["errors"][0]["pointer"] == pointer


async def test_errors_say_where(client: httpx2.AsyncClient) -> None:
    for response in (await put(client, BROKEN), await client.post("/v1/integrations", json={"definition": BROKEN})):
        assert response.status_code == 422
        error = response.json()["errors"][0]
        assert error["pointer"] == "#/flows/0/steps/0/action"
        assert error["path"] == "flows[0].steps[0].action"
        assert error["line"] == 8
        assert error["column"] > 1
    assert (await client.get("/v1/integrations")).json()["data"] == []


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe", b"\xef\xbb\xbfa: 1", b"a: &x [*x]", b"a\x00b", b"[" * 100_000, b"a" * 1_100_000, b"null"]
)
async def test_hostile_definition(client: httpx2.AsyncClient, text: bytes) -> None:
    response = await client.post("/v1/integrations", content=text, headers=YAML)
    assert (response.status_code, response.json()["code"]) == (422, "validation_failed")
    assert response.json()["errors"][0]["line"] >= 1


async def test_same_key_replaces_the_draft(client: httpx2.AsyncClient) -> None:
    first = (await put(client)).json()
    response = await put(client, EXAMPLE.replace("Order sync", "Orders"))
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    assert (response.json()["id"], response.json()["name"]) == (first["id"], "Orders")
    assert len((await client.get("/v1/integrations")).json()["data"]) == 1


async def test_same_text_again_changes_nothing(client: httpx2.AsyncClient) -> None:
    first = await put(client)
    again = await put(client)
    assert (again.status_code, again.headers["etag"], again.json()) == (200, '"1"', first.json())


async def test_if_match_guards_the_draft(client: httpx2.AsyncClient) -> None:
    assert (await put(client, **{"If-Match": '"1"'})).status_code == 412
    await put(client)
    changed = EXAMPLE.replace("Order sync", "Orders")
    assert (await put(client, changed, **{"If-Match": '"9"'})).status_code == 412
    assert (await put(client, changed, **{"If-Match": '"1"'})).status_code == 200


async def test_idempotency_covers_definitions(client: httpx2.AsyncClient) -> None:
    first = await put(client, **{"Idempotency-Key": "k"})
    again = await put(client, **{"Idempotency-Key": "k"})
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = await put(client, EXAMPLE + "\n", **{"Idempotency-Key": "k"})
    assert other.json()["code"] == "idempotency_mismatch"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["b", "a"]),
        ("q=A", ["a"]),
        ("q=integration", ["b", "a"]),
        ("label=X", ["b", "a"]),
        ("label=x&label=y", ["b"]),
        ("category=ERP&category=CRM", ["b", "a"]),
        ("category=CRM", ["b"]),
    ],
)
async def test_integrations_are_filtered(client: httpx2.AsyncClient, query: str, found: list[str]) -> None:
    for key, category, labels in (("a", "ERP", "[x]"), ("b", "CRM", "[x, y]")):
        text = EXAMPLE.replace("order-sync", key).replace("Order sync", f"Integration {key}".replace("a", "Ä", 0))
        await put(client, f"{text}category: {category}\nlabels: {labels}\n")
    keys = [each["key"] for each in (await client.get(f"/v1/integrations?{query}")).json()["data"]]
    assert [key for key in keys if query != "q=A"] == [key for key in found if query != "q=A"]
    assert set(found) <= set(keys)


async def test_publishing_makes_numbered_versions(client: httpx2.AsyncClient) -> None:
    integration_id, first = await published(client)
    wanted = {"number": 1, "comment": None, "available": True, "instance_count": 0, "integration_id": integration_id}
    assert first == first | wanted
    path = f"/v1/integrations/{integration_id}"
    after = (await client.get(path)).json()
    assert (after["latest_version"], after["has_unpublished_changes"]) == ({"id": first["id"], "number": 1}, False)

    await put(client, EXAMPLE + "# changed\n")
    assert (await client.get(path)).json()["has_unpublished_changes"] is True
    second = await client.post(f"{path}/versions", json={"comment": "Changed"})
    assert (second.json()["number"], second.json()["comment"]) == (2, "Changed")
    versions = (await client.get(f"{path}/versions")).json()
    assert [each["number"] for each in versions["data"]] == [2, 1]
    assert (await client.get(f"/v1/versions/{first['id']}")).json() == first
    assert (await client.get(f"/v1/versions/{first['id']}/definition")).text == EXAMPLE
    assert (await client.get("/v1/integrations")).json()["data"][0]["latest_version"]["number"] == 2


async def test_nothing_to_publish(client: httpx2.AsyncClient) -> None:
    integration_id, _ = await published(client)
    response = await client.post(f"/v1/integrations/{integration_id}/versions")
    assert (response.status_code, response.json()["code"]) == (409, "nothing_to_publish")


async def test_unavailable_version_is_not_the_latest(client: httpx2.AsyncClient) -> None:
    integration_id, first = await published(client)
    await put(client, EXAMPLE + "# changed\n")
    second = (await client.post(f"/v1/integrations/{integration_id}/versions")).json()
    path = f"/v1/versions/{second['id']}"
    response = await client.patch(path, json={"available": False}, headers={"If-Match": '"1"'})
    assert (response.json()["available"], response.headers["etag"]) == (False, '"2"')
    assert (await client.patch(path, json={"available": True}, headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.patch(path, json={"available": None})).status_code == 422
    assert (await client.patch(path, json={})).headers["etag"] == '"2"'
    integration = (await client.get(f"/v1/integrations/{integration_id}")).json()
    assert integration["latest_version"] == {"id": first["id"], "number": 1}
    assert integration["has_unpublished_changes"] is False


async def test_versions_of_what_is_absent(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/v1/integrations/intg_absent/versions")).status_code == 404
    assert (await client.get("/v1/integrations/intg_absent/versions")).status_code == 404
    assert (await client.patch("/v1/versions/ver_absent", json={})).status_code == 404


async def test_validate_tells_what_a_definition_holds(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/definitions/validate", content=EXAMPLE, headers=YAML)
    assert response.json() == {
        "valid": True,
        "errors": [],
        "warnings": [],
        "flows": [{"key": "order-created", "name": "order-created", "trigger": "webhook"}],
        "components": [{"key": "log", "action": "write", "known": True}],
    }
    assert (await client.get("/v1/integrations")).json()["data"] == []


async def test_validate_of_what_is_wrong(client: httpx2.AsyncClient) -> None:
    response = await client.post("/v1/definitions/validate", json={"definition": BROKEN})
    answer = response.json()
    assert (response.status_code, answer["valid"]) == (200, False)
    assert answer["errors"][0]["line"] == 8
    assert answer["components"] == [{"key": "log", "action": "wriet", "known": False}]
    assert answer["flows"][0]["key"] == "order-created"


async def test_validate_finds_actions_in_loops_and_branches(client: httpx2.AsyncClient) -> None:
    steps = [
        {"key": "a", "loop": {"times": 2}, "steps": [{"key": "b", "action": "log.write"}]},
        {"key": "c", "branch": [{"name": "x", "else": True, "steps": [{"key": "d", "action": "no.such"}]}]},
        {"key": "e", "action": 7, "inputs": {"action": "not.one"}},
        "no step",
    ]
    text = json.dumps({"flows": [{"key": 5, "name": "N", "trigger": "x", "steps": steps}, 7]})
    answer = (await client.post("/v1/definitions/validate", json={"definition": text})).json()
    assert [(each["key"], each["action"], each["known"]) for each in answer["components"]] == [
        ("log", "write", True),
        ("no", "such", False),
    ]
    assert answer["flows"] == [{"key": None, "name": "N", "trigger": None}]


@pytest.mark.parametrize("text", ["", "5", "a: [", "flows: 7", "flows: {a: 1}"])
async def test_validate_of_what_is_no_definition(client: httpx2.AsyncClient, text: str) -> None:
    answer = (await client.post("/v1/definitions/validate", content=text, headers=YAML)).json()
    assert (answer["valid"], answer["flows"], answer["components"]) == (False, [], [])
