"""Every type of field, what fits and what is said of what does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config import check_values, describe, missing, resolve, value_problems, with_changes
from domain.definitions.model import ConfigField, ConfigPage

DATE = "this must be a date that exists, such as 2026-03-01"
TIME = "this must be a time that exists with its offset, such as 2026-03-01T12:00:00+01:00"
OPTIONS_FROM = {"action": "http.get", "inputs": {"url": "https://shop.example.com/regions"}}
SCHEMA = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}, "required": ["size"]}


def field(kind: str, **more: Any) -> ConfigField:
    return ConfigField.model_validate({"key": "a", "type": kind} | more)


TYPES = {
    "string": field("string"),
    "number": field("number"),
    "boolean": field("boolean"),
    "date": field("date"),
    "timestamp": field("timestamp"),
    "picklist": field("picklist", options=["eu", 1, True]),
    "live": field("picklist", options_from=OPTIONS_FROM),
    "json": field("code", language="json"),
    "xml": field("code", language="xml"),
    "html_code": field("code", language="html"),
    "schedule": field("schedule"),
    "json_form": field("json_form", schema=SCHEMA),
    "selection": field("object_selection", options=["orders", "customers"]),
    "live_selection": field("object_selection", options_from=OPTIONS_FROM),
    "map": field("field_map", options=["sku", "price"]),
    "free_map": field("field_map"),
    "html": field("html", default="<p>Hello</p>"),
    "strings": field("string", collection="list"),
    "numbers": field("number", collection="map"),
    "times": field("timestamp", collection="list"),
    "choices": field("picklist", options=["a", "b"], collection="list"),
    "connection": field("connection", connection="http/bearer"),
}
FIELDS: dict[str, ConfigField] = {name: each.model_copy(update={"key": name}) for name, each in TYPES.items()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date", "2024-02-29"),
        ("timestamp", "2026-03-01T12:00:00.5+05:30"),
        ("live", "anything"),
        ("live", 17),
        ("live", "x" * 200),
        ("json", '{"a": [1, 2.5, null]}'),
        ("xml", "<a><b/></a>"),
        ("html_code", "<p>one<p>two"),
        ("schedule", {"type": "once"}),
        ("json_form", {"size": 3, "more": "x"}),
        ("selection", []),
        ("selection", [{"object": "orders", "fields": ["id", "total"]}, {"object": "customers"}]),
        ("live_selection", [{"object": "anything"}]),
        ("map", {"sku": "ProductCode"}),
        ("map", {}),
        ("free_map", {"any thing": "Any other"}),
        ("strings", []),
        ("strings", ["a", "", "a"]),
        ("numbers", {"x": 1, "y": -2.5}),
        ("times", ["2026-03-01T12:00:00Z"]),
        ("choices", ["b", "b"]),
    ],
)
def test_value_that_fits(name: str, value: Any) -> None:
    assert value_problems(FIELDS[name], value, "#") == []


@pytest.mark.parametrize(
    ("name", "value", "pointer", "code", "detail"),
    [
        ("string", 5, "", "wrong_type", "this must be text"),
        ("string", "x" * 65537, "", "invalid_value", "text is at most 64 KiB"),
        ("string", "\ud800", "", "invalid_value", "text holds neither NUL nor half of a surrogate pair"),
        ("number", "5", "", "wrong_type", "this must be a number"),
        ("number", 2**53, "", "invalid_value", "a whole number beyond 2^53 is not exact"),
        ("number", float("nan"), "", "invalid_value", "a number must be finite"),
        ("boolean", 1, "", "wrong_type", "this must be true or false"),
        ("date", 20260301, "", "wrong_type", "this must be a date as text, such as 2026-03-01"),
        ("date", "2026-02-29", "", "invalid_value", DATE),
        ("date", "20260301", "", "invalid_value", DATE),
        ("date", "2026-3-1", "", "invalid_value", DATE),
        ("timestamp", 0, "", "wrong_type", "this must be a time as text, such as 2026-03-01T12:00:00Z"),
        ("timestamp", "2026-03-01T12:00:00", "", "invalid_value", TIME),
        ("timestamp", "2026-03-01T25:00:00Z", "", "invalid_value", TIME),
        ("picklist", "us", "", "not_an_option", "this must be one of eu, 1, True"),
        ("picklist", ["eu"], "", "wrong_type", "this must be one of the options"),
        ("live", True, "", "wrong_type", "this must be the text or the number of an option"),
        ("live", {}, "", "wrong_type", "this must be the text or the number of an option"),
        ("live", "", "", "invalid_value", "an option has from 1 to 200 characters"),
        ("live", "x" * 201, "", "invalid_value", "an option has from 1 to 200 characters"),
        ("json", {"a": 1}, "", "wrong_type", "this must be text"),
        (
            "json",
            '{"a": 1,}',
            "",
            "invalid_value",
            "this is not well-formed JSON: Expecting property name enclosed in double quotes at line 1 column 9",
        ),
        ("json", '{"a": 1, "a": 2}', "", "invalid_value", 'this is not well-formed JSON: duplicate key "a"'),
        ("json", "NaN", "", "invalid_value", "this is not well-formed JSON: NaN is not JSON"),
        ("xml", "<a><b></a>", "", "invalid_value", "this is not well-formed XML: mismatched tag at line 1 column 9"),
        (
            "xml",
            "<!DOCTYPE a><a/>",
            "",
            "invalid_value",
            "this is not well-formed XML: a document type (<!DOCTYPE) is not allowed at line 1",
        ),
        (
            "html_code",
            "<div>",
            "",
            "invalid_value",
            "this is not well-formed HTML: <div> is never closed: it begins at line 1 column 1",
        ),
        ("schedule", {"type": "day", "at": "3"}, "", "invalid_value", "at must be a time of day such as 03:00"),
        ("json_form", {"size": 0}, "/size", "invalid_value", "this must be at least 1"),
        ("json_form", {}, "/size", "missing", "size is missing"),
        ("json_form", 5, "", "wrong_type", "this must be an object"),
        (
            "selection",
            {"object": "orders"},
            "",
            "wrong_type",
            'this must be a list such as [{"object": "orders", "fields": ["id"]}]',
        ),
        ("selection", ["orders"], "/0", "wrong_type", "this must be an object of object and, if wanted, fields"),
        ("selection", [{"fields": []}], "/0/object", "missing", "object is missing: which one is selected"),
        ("selection", [{"object": "x"}], "/0/object", "not_an_option", "this must be one of orders, customers"),
        ("selection", [{"object": 5}], "/0/object", "wrong_type", "this must be text: a name"),
        ("selection", [{"object": "orders", "label": "x"}], "/0/label", "unknown_key", "known here: object, fields"),
        (
            "selection",
            [{"object": "orders"}, {"object": "orders"}],
            "/1/object",
            "invalid_value",
            "this object is here twice",
        ),
        (
            "selection",
            [{"object": "orders", "fields": "id"}],
            "/0/fields",
            "wrong_type",
            "this must be a list of at most 1000 names",
        ),
        (
            "selection",
            [{"object": "orders", "fields": ["id", ""]}],
            "/0/fields/1",
            "invalid_value",
            "a name has from 1 to 200 characters",
        ),
        ("live_selection", [{"object": ""}], "/0/object", "invalid_value", "a name has from 1 to 200 characters"),
        ("map", [], "", "wrong_type", 'this must be an object such as {"sku": "ProductCode"}'),
        ("map", {"skuu": "x"}, "/skuu", "unknown_key", "there is no such field to map; did you mean sku?"),
        ("map", {"x": "y"}, "/x", "unknown_key", "there is no such field to map; there are sku, price"),
        ("map", {"sku": 5}, "/sku", "wrong_type", "this must be text: a name"),
        ("html", "x", "", "invalid_value", "this is text on the page and takes no value"),
        ("strings", "a", "", "wrong_type", "this must be a list"),
        ("strings", ["a", 5], "/1", "wrong_type", "this must be text"),
        ("strings", ["a", None], "/1", "wrong_type", "this must be text"),
        ("strings", ["a"] * 1001, "", "invalid_value", "at most 1000 items"),
        ("strings", ["x" * 60_000] * 5, "", "invalid_value", "this is larger than 256 KiB as JSON"),
        ("numbers", [1], "", "wrong_type", "this must be an object of keys and values"),
        ("numbers", {"a/b": "5"}, "/a~1b", "wrong_type", "this must be a number"),
        ("numbers", {"": 5}, "/", "invalid_value", "a key has from 1 to 200 characters"),
        ("times", ["2026-03-01"], "/0", "invalid_value", TIME),
        ("choices", ["a", "c"], "/1", "not_an_option", "this must be one of a, b"),
        ("connection", {"token": ""}, "/token", "invalid_value", "token is empty"),
    ],
)
def test_value_that_does_not_fit(name: str, value: Any, pointer: str, code: str, detail: str) -> None:
    found = value_problems(FIELDS[name], value, "#")
    assert [(each.pointer, each.code, each.detail) for each in found] == [(f"#{pointer}", code, detail)]


def test_problems_of_one_value_come_together() -> None:
    found = value_problems(FIELDS["numbers"], {"a": "1", "b": 2, "c": None}, "#/values/n")
    assert [each.pointer for each in found] == ["#/values/n/a", "#/values/n/c"]


def test_problems_of_many_values_are_bounded() -> None:
    assert len(check_values({"a": FIELDS["strings"]}, {"a": [1] * 1000})) == 100


def test_static_html_is_never_missing() -> None:
    assert missing({"a": FIELDS["html"], "b": field("html", description="x")}, {}) == []


def test_steps_see_what_each_type_comes_to() -> None:
    values = {
        "timestamp": "2026-03-01T12:00:00+01:00",
        "times": ["2026-03-01T12:00:00+01:00"],
        "schedule": {"type": "day", "at": "03:00"},
        "json": "{}",
        "json_form": {"size": 3},
        "selection": [{"object": "orders"}],
        "map": {"sku": "Code"},
        "numbers": {"x": 1},
    }
    fields = {name: FIELDS[name] for name in [*values, "html", "date"]}
    assert resolve(fields, values).public == values | {
        "timestamp": "2026-03-01T11:00:00Z",
        "times": ["2026-03-01T11:00:00Z"],
        "schedule": {"type": "day", "cron": "0 3 * * *", "time_zone": "UTC"},
        "date": None,
    }


def test_defaults_come_in_the_form_that_steps_see() -> None:
    each = field("timestamp", default="2026-03-01T12:00:00+01:00")
    assert resolve({"a": each}, {}).public == {"a": "2026-03-01T11:00:00Z"}


def test_timestamps_are_kept_in_utc() -> None:
    changes = {"timestamp": "2026-03-01T12:00:00+01:00", "times": ["2026-03-01T12:00:00+01:00"], "date": "2026-03-01"}
    assert with_changes(FIELDS, {}, changes) == {
        "timestamp": "2026-03-01T11:00:00Z",
        "times": ["2026-03-01T11:00:00Z"],
        "date": "2026-03-01",
    }


# Properties

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
LIKELY = st.one_of(
    ANYTHING,
    st.lists(st.fixed_dictionaries({"object": st.sampled_from(["orders", "x"]), "fields": st.lists(st.text())})),
    st.dictionaries(st.sampled_from(["sku", "price"]), st.text(max_size=5)),
    st.fixed_dictionaries({"size": st.integers()}),
    st.dates().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()),
    st.fixed_dictionaries({"type": st.sampled_from(["once", "minute", "week", "cron"]), "every": st.integers(0, 5)}),
    st.fixed_dictionaries({"token": st.text()}),
)


@given(st.sampled_from(sorted(FIELDS)), LIKELY)
def test_accepted_value_never_fails_later(name: str, value: Any) -> None:
    fields = {name: FIELDS[name]}
    if check_values(fields, {name: value}):
        return
    kept = with_changes(fields, {}, {name: value})
    assert check_values(fields, kept) == []
    assert with_changes(fields, {}, kept) == kept
    resolve(fields, kept)
    page = ConfigPage.model_validate({"page": "P", "fields": [FIELDS[name]]})
    assert describe([page], kept, [])[0]["fields"][0]["is_set"] is (value is not None)
