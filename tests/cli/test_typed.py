"""`key=text` becomes a value of the field's type, or stays text for the API to refuse."""

from typing import Any

import pytest

from cli.typed import fields_of, typed


def field(kind: str, **more: Any) -> dict[str, Any]:
    return {"key": kind, "type": kind, "collection": None, "options": None} | more


FIELDS = {
    "text": field("string"),
    "number": field("number"),
    "on": field("boolean"),
    "region": field("picklist", options=["eu", 1, True, 2.5]),
    "live": field("picklist"),
    "code": field("code"),
    "day": field("date"),
    "nightly": field("schedule"),
    "form": field("json_form"),
    "objects": field("object_selection"),
    "map": field("field_map"),
    "shop": field("connection"),
    "tags": field("string", collection="list"),
    "rates": field("number", collection="map"),
}


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("text", "5", "5"),
        ("text", "null", "null"),
        ("number", "5", 5),
        ("number", "-2.5", -2.5),
        ("number", "1e3", 1000.0),
        ("number", "many", "many"),
        ("number", "true", "true"),
        ("on", "true", True),
        ("on", "false", False),
        ("on", "yes", "yes"),
        ("region", "eu", "eu"),
        ("region", "1", 1),
        ("region", "true", True),
        ("region", "2.5", 2.5),
        ("region", "us", "us"),
        ("live", "7", "7"),
        ("code", '{"a": 1}', '{"a": 1}'),
        ("day", "2026-03-01", "2026-03-01"),
        ("nightly", "{type: once}", {"type": "once"}),
        ("nightly", "0 3 * * *", "0 3 * * *"),
        ("nightly.type", "day", "day"),
        ("form", '{"size": 3, "day": "2026-03-01"}', {"size": 3, "day": "2026-03-01"}),
        ("form", "{size", "{size"),
        ("form.size", "3", 3),
        ("objects", "[{object: orders}]", [{"object": "orders"}]),
        ("map", "{sku: Code}", {"sku": "Code"}),
        ("map.sku", "5", "5"),
        ("shop", '{"token": "t"}', {"token": "t"}),
        ("shop.token", "5", "5"),
        ("tags", "[a, b]", ["a", "b"]),
        ("rates", "{eu: 1.5}", {"eu": 1.5}),
        ("rates.eu", "1.5", 1.5),
        ("unknown", "5", "5"),
    ],
)
def test_text_as_the_type_wants_it(path: str, text: str, value: Any) -> None:
    found = typed(FIELDS, path, text)
    assert (found, type(found)) == (value, type(value))


def test_fields_of_all_pages() -> None:
    pages = [{"fields": [field("string")]}, {"fields": [field("number")]}]
    assert list(fields_of({"pages": pages})) == ["string", "number"]
