import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config.form_schemas import schema_problems
from domain.config.forms import form_problems

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
ADDRESS = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 2, "maxLength": 5},
        "country": {"enum": ["de", "fr"]},
        "zip": {"type": "string", "pattern": "^[0-9]{5}$"},
        "mail": {"type": "string", "format": "email"},
        "since": {"type": "string", "format": "date"},
        "seen": {"type": "string", "format": "date-time"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150, "multipleOf": 5},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "uniqueItems": True, "minItems": 1, "maxItems": 3},
        "kind": {"const": "b2b"},
        "either": {"oneOf": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0}]},
        "any": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "not": {"not": {"type": "string"}},
    },
    "required": ["name", "country"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": ["string", "number"]}},
}
FITS = {"name": "Jo", "country": "de"}
ONE_OF = "this must fit exactly one of the alternatives that the form has here"


@pytest.mark.parametrize(
    "value",
    [
        FITS,
        FITS | {"zip": "10115", "mail": "a@b.org", "since": "2026-03-01", "seen": "2026-03-01T12:00:00Z"},
        FITS | {"age": 15.0, "tags": [1, True and "x", "1"], "kind": "b2b", "either": 0.5, "any": None, "not": 1},
    ],
)
def test_form_data_that_fits(value: Any) -> None:
    assert list(schema_problems(ADDRESS)) == []
    assert list(form_problems(ADDRESS, value, "#")) == []


@pytest.mark.parametrize(
    ("change", "pointer", "code", "detail"),
    [
        ({"name": 5}, "/name", "wrong_type", "this must be text"),
        ({"name": "J"}, "/name", "invalid_value", "this must have at least 2 characters"),
        ({"name": "Joanna"}, "/name", "invalid_value", "this must have at most 5 characters"),
        ({"country": "s3cret"}, "/country", "not_an_option", "this must be one of de, fr"),
        ({"zip": "1011"}, "/zip", "invalid_value", "this must match ^[0-9]{5}$, in at most 1000 characters"),
        ({"mail": "nobody"}, "/mail", "invalid_value", "this must be in the form email"),
        ({"since": "2026-02-30"}, "/since", "invalid_value", "this must be in the form date"),
        ({"seen": "2026-03-01"}, "/seen", "invalid_value", "this must be in the form date-time"),
        ({"age": -5}, "/age", "invalid_value", "this must be at least 0"),
        ({"age": 155}, "/age", "invalid_value", "this must be at most 150"),
        ({"age": 7}, "/age", "invalid_value", "this must be a multiple of 5"),
        ({"age": 7.5}, "/age", "wrong_type", "this must be a whole number"),
        ({"tags": []}, "/tags", "invalid_value", "this must have at least 1 items"),
        ({"tags": ["a", "b", "c", "d"]}, "/tags", "invalid_value", "this must have at most 3 items"),
        ({"tags": ["a", "a"]}, "/tags", "invalid_value", "no item may be there twice"),
        ({"tags": [1, 1.0]}, "/tags", "invalid_value", "no item may be there twice"),
        ({"tags": ["a", True]}, "/tags/1", "wrong_type", "this must be text or a number"),
        ({"kind": "b2c"}, "/kind", "not_an_option", "this must be b2b"),
        (
            {"either": 0},
            "/either",
            "invalid_value",
            "this must fit exactly one of the alternatives that the form has here",
        ),
        ({"any": 5}, "/any", "invalid_value", "this fits none of the alternatives that the form has here"),
        ({"not": "x"}, "/not", "invalid_value", "this does not fit what the form says with not"),
        ({"a/b": 1}, "/a~1b", "unknown_key", f"known here: {', '.join(ADDRESS['properties'])}"),  # type: ignore[arg-type]
    ],
)
def test_form_data_that_does_not_fit(change: dict[str, Any], pointer: str, code: str, detail: str) -> None:
    found = list(form_problems(ADDRESS, FITS | change, "#/values/form"))
    details = [(each.pointer, each.code, each.detail) for each in found]
    assert (f"#/values/form{pointer}", code, detail) in details
    assert "s3cret" not in str(details)


def test_each_missing_property_has_a_pointer_of_its_own() -> None:
    found = [(each.pointer, each.code, each.detail) for each in form_problems(ADDRESS, {}, "#")]
    assert found == [
        ("#/name", "missing", "name is missing"),
        ("#/country", "missing", "country is missing"),
    ]


def test_form_says_a_bounded_number_of_problems() -> None:
    schema = {"items": {"type": "string"}}
    assert len(list(form_problems(schema, list(range(500)), "#"))) == 20


@pytest.mark.parametrize("value", [float("inf"), [[]] * 30_000, "\x00"])
def test_form_data_that_cannot_be_kept(value: Any) -> None:
    assert [each.code for each in form_problems({}, value, "#")] == ["invalid_value"]


@pytest.mark.parametrize(
    ("schema", "location", "detail"),
    [
        ({"type": "objekt"}, ("type",), "no JSON Schema: 'objekt' is not valid under any of the given schemas"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, ("$schema",), "the schema's draft must be one of"),
        ({"$ref": "https://evil.example.com/schema.json"}, ("$ref",), "nothing is fetched"),
        ({"properties": {"a": {"$ref": "other.json"}}}, ("properties", "a", "$ref"), "nothing is fetched"),
        ({"$ref": "#/$defs/none"}, ("$ref",), "there is nothing at the end"),
        ({"$ref": "#"}, ("$ref",), "a reference stays in this schema"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}}, (), "leads to itself"),
        (
            {"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}}},
            (),
            "leads to itself",
        ),
        ({"properties": {"a": {"$id": "https://x.org/a"}}}, ("properties", "a", "$id"), "at the top"),
        ({"patternProperties": {"^a": {}}}, ("patternProperties",), "is not checked here"),
        ({"$dynamicRef": "#a"}, ("$dynamicRef",), "is not checked here"),
        ({"pattern": "(?=a)"}, ("pattern",), "is not matched here"),
        ({"items": {"pattern": "(a"}}, ("items", "pattern"), "never closed"),
        ({"description": "x" * 70_000}, (), "at most 64 KiB"),
    ],
)
def test_schema_that_is_refused(schema: dict[str, Any], location: tuple[str, ...], detail: str) -> None:
    found = list(schema_problems(schema))
    assert [each[0] for each in found] == [location]
    assert detail in found[0][1]


def test_schema_of_draft_7_is_checked_as_such() -> None:
    schema = {"$schema": DRAFT_7, "items": [{"type": "string"}], "definitions": {"a": {}}, "$ref": "#/definitions/a"}
    assert list(schema_problems(schema)) == []
    tuple_schema = {"$schema": DRAFT_7, "items": [{"type": "string"}]}
    assert [each.pointer for each in form_problems(tuple_schema, [1], "#")] == ["#/0"]


def test_schema_that_multiplies_is_refused_in_no_time() -> None:
    defs = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(40)}
    began = time.monotonic()
    found = list(schema_problems({"$defs": defs | {"d40": {}}, "$ref": "#/$defs/d0"}))
    assert "more than 5000 parts" in found[0][1]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("length", "problems"), [(1000, 0), (1001, 1)])
def test_text_that_has_a_pattern_is_bounded(length: int, problems: int) -> None:
    assert len(list(form_problems({"pattern": "^a*$"}, "a" * length, "#"))) == problems


def test_large_lists_are_compared_in_linear_time() -> None:
    began = time.monotonic()
    value = [n if n % 2 else str(n) for n in range(8_000)]
    assert list(form_problems({"uniqueItems": True}, value, "#")) == []
    assert time.monotonic() - began < 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["type", "items", "properties", "enum", "pattern", "$ref", "not"]), JSON), JSON)
def test_schema_without_problems_checks_anything(schema: dict[str, Any], value: Any) -> None:
    if not list(schema_problems(schema)):
        list(form_problems(schema, value, "#"))
