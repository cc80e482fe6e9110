import json
from typing import Any

import pytest
from jsonschema import Draft7Validator

from domain.definitions.jsonschema import FILE, definition_schema, schema_text
from domain.definitions.yamltree import read_tree
from tests.domain.definitions.snippets import EXAMPLE

NEWER_THAN_DRAFT_7 = {
    "$defs",
    "prefixItems",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "$anchor",
}


def keywords(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {word for each in schema for word in keywords(each)}
    if not isinstance(schema, dict):
        return set()
    named = ("properties", "definitions")
    inner = [each for word in schema for each in (schema[word].values() if word in named else [schema[word]])]
    return set(schema) | {word for each in inner for word in keywords(each)}


def accepted(text: str) -> bool:
    return bool(Draft7Validator(definition_schema()).is_valid(read_tree(text).value))


def test_committed_schema_is_the_generated_one() -> None:
    assert FILE.read_text(encoding="utf-8") == schema_text(), "run python -m domain.definitions.jsonschema"


def test_schema_is_of_draft_7() -> None:
    Draft7Validator.check_schema(definition_schema())
    assert definition_schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert not keywords(definition_schema()) & (NEWER_THAN_DRAFT_7 | {"discriminator"})


def test_schema_references_resolve_and_stand_alone() -> None:
    text = json.dumps(definition_schema())
    names = {part.partition('"')[0] for part in text.split("#/definitions/")[1:]}
    assert names == set(definition_schema()["definitions"])
    assert "#/$defs/" not in text


def test_schema_accepts_the_example() -> None:
    assert accepted(EXAMPLE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("key: order-sync", "key: Order Sync"),
        ("flowgraft/v1", "flowgraft/v2"),
        ("name: Order sync", "titel: Order sync"),
        ("type: picklist", "type: list"),
        ("methods: [POST]", "methods: [HEAD]"),
        ("type: webhook", "type: hook"),
        ("retries: 3", "retries: many"),
        ("timeout: 30s", "timeout: 30"),
        ("loop: {over:", "loop: {overr:"),
        ("else: true", "else: no"),
        ("from: nightly", "form: nightly"),
        ("action: http.post", "sleep: 1s, action: http.post"),
    ],
)
def test_schema_refuses_a_broken_example(old: str, new: str) -> None:
    assert EXAMPLE.count(old) >= 1
    assert not accepted(
        EXAMPLE.replace(old, new).replace("- key: ship\n            sleep", "- key: ship\n            sleep")
    )
