import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from api.app import create_app
from api.openapi import build
from domain.definitions.jsonschema import definition_schema
from tests.api.conftest import settings_for
from tests.fakes_gateway import FakeGateway

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return build(create_app(settings_for("sqlite+aiosqlite:////nowhere.db"), gateway=FakeGateway()))


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_operation_ids_are_noun_and_verb(document: Json) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert {"customers_create", "customers_list", "customers_get", "customers_update", "customers_delete"} <= set(ids)
    assert {"versions_publish", "api_keys_create", "jobs_get", "logs_list", "definitions_validate"} <= set(ids)
    assert all(re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", each) for each in ids), ids


def test_problems_are_declared(document: Json) -> None:
    for path, method, operation in operations(document):
        problems = {
            status: answer
            for status, answer in operation["responses"].items()
            if "400" <= status <= "599" and path != "/readyz"
        }
        assert all(list(answer["content"]) == ["application/problem+json"] for answer in problems.values())
        if path.startswith("/v1"):
            assert {"401", "403", "422", "503"} <= set(problems), (method, path)
            assert operation["security"] == [{"apiKey": []}]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_call_is_described(document: Json) -> None:
    assert all(operation.get("description") for _, _, operation in operations(document))


def test_request_bodies_have_examples_that_fit(document: Json) -> None:
    schemas = document["components"]["schemas"]
    for path, method, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None or not path.startswith(
            (
                "/v1/customers",
                "/v1/integrations",
                "/v1/versions",
                "/v1/api_keys",
                "/v1/monitors",
                "/v1/alert_groups",
                "/v1/event_endpoints",
                "/v1/maintenance_windows",
            )
        ):
            continue
        schema = content["schema"].get("anyOf", [content["schema"]])[0]  # an optional body is a shape or null
        name = schema.get("$ref", "").rpartition("/")[2]
        examples = [content["example"]] if "example" in content else schemas[name]["examples"]
        schema = {"components": document["components"]} | content["schema"]
        for example in examples:
            Draft202012Validator(schema).validate(example)
        assert examples, (method, path)


def test_posts_take_an_idempotency_key(document: Json) -> None:
    for path, method, operation in operations(document):
        if path.startswith("/v1"):
            names = {parameter["name"] for parameter in operation.get("parameters", [])}
            assert ("Idempotency-Key" in names) is (method == "post"), (method, path)


def test_references_lead_somewhere(document: Json) -> None:
    schemas = document["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/([A-Za-z0-9_]+)", str(document)):
        assert name in schemas


async def test_document_and_its_page_are_public(client: httpx2.AsyncClient) -> None:
    response = await client.get("/openapi.json", headers={"Authorization": ""})
    assert response.json()["openapi"].startswith("3.1")
    assert (await client.get("/docs")).headers["content-type"].startswith("text/html")


async def test_answers_are_as_described(client: httpx2.AsyncClient, document: Json) -> None:
    made = await client.post("/v1/customers", json={"name": "Acme"})
    for path, response in (
        ("/v1/customers/{customer_id}", await client.get(f"/v1/customers/{made.json()['id']}")),
        ("/v1/customers", await client.get("/v1/customers")),
        ("/v1/logs", await client.get("/v1/logs")),
    ):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator({"components": document["components"]} | schema).validate(response.json())


async def test_schema_of_definitions_is_public(client: httpx2.AsyncClient) -> None:
    response = await client.get("/schema/flowgraft-v1.json", headers={"Authorization": ""})
    assert response.status_code == 200
    Draft7Validator.check_schema(response.json())
    assert response.text.count("flowgraft/v1") >= 1
    assert response.json() == definition_schema()
