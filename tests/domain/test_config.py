from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config import (
    ResolvedConfig,
    check_value,
    check_values,
    config_state,
    describe,
    misfits,
    missing,
    resolve,
    with_changes,
)
from domain.definitions.model import ConfigField, ConfigPage
from domain.errors import Problem

PAGES = [
    ConfigPage.model_validate(
        {
            "page": "Connect",
            "tagline": "Where your shop lives",
            "fields": [
                {"key": "shop", "type": "connection", "connection": "http/basic", "hosts": ["shop.example.com"]},
                {"key": "endpoint", "type": "string", "default": "https://shop.example.com", "label": "Endpoint"},
                {"key": "hook", "type": "string", "secret": True, "default": "initial"},
            ],
        }
    ),
    ConfigPage.model_validate(
        {
            "page": "Options",
            "fields": [
                {"key": "region", "type": "picklist", "options": ["eu", 1, True], "description": "Where"},
                {"key": "big", "type": "number", "required": False},
                {"key": "loud", "type": "boolean", "default": False},
                {"key": "nightly", "type": "schedule", "default": {"cron": "0 3 * * *"}},
            ],
        }
    ),
]
FIELDS: dict[str, ConfigField] = {field.key: field for page in PAGES for field in page.fields}
SHOP = {"username": "ann", "password": "s3cret"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("endpoint", "x"),
        ("endpoint", ""),
        ("endpoint", "x" * 64 * 1024),
        ("endpoint", None),
        ("shop", SHOP),
        ("shop", None),
        ("region", "eu"),
        ("region", 1),
        ("region", 1.0),
        ("region", True),
        ("big", 0),
        ("big", -1.5),
        ("loud", False),
        ("nightly", {"cron": "0 4 * * *", "time_zone": "Europe/Berlin"}),
        ("nightly", {"cron": None}),
        ("nightly", None),
    ],
)
def test_value_that_fits(key: str, value: Any) -> None:
    assert check_value(FIELDS[key], value) is None
    assert check_values(FIELDS, {key: value}) == []


@pytest.mark.parametrize(
    ("key", "value", "pointer", "code"),
    [
        ("endpoint", 5, "endpoint", "wrong_type"),
        ("endpoint", "x" * (64 * 1024 + 1), "endpoint", "invalid_value"),
        ("endpoint", "é" * (32 * 1024 + 1), "endpoint", "invalid_value"),
        ("endpoint", "a\x00", "endpoint", "invalid_value"),
        ("shop", "text", "shop", "wrong_type"),
        ("shop", {"username": "ann"}, "shop/password", "missing"),
        ("region", "us", "region", "not_an_option"),
        ("region", "1", "region", "not_an_option"),
        ("region", False, "region", "not_an_option"),
        ("region", ["eu"], "region", "wrong_type"),
        ("big", "5", "big", "wrong_type"),
        ("big", True, "big", "wrong_type"),
        ("big", float("nan"), "big", "invalid_value"),
        ("big", float("inf"), "big", "invalid_value"),
        ("big", 2**53, "big", "invalid_value"),
        ("loud", 1, "loud", "wrong_type"),
        ("loud", "true", "loud", "wrong_type"),
        ("nightly", "0 3 * * *", "nightly", "wrong_type"),
        ("nightly", {"cron": "0 0 30 2 *"}, "nightly", "invalid_value"),
        ("regoin", "eu", "regoin", "unknown_key"),
        ("a/b", None, "a~1b", "unknown_key"),
    ],
)
def test_value_that_does_not_fit(key: str, value: Any, pointer: str, code: str) -> None:
    found = check_values(FIELDS, {key: value})
    assert [(each.pointer, each.code) for each in found] == [(f"#/values/{pointer}", code)]
    if key in FIELDS:
        assert check_value(FIELDS[key], value) == found[0].detail


def test_values_problems_come_together_with_hints() -> None:
    found = check_values(FIELDS, {"regoin": "eu", "big": "5", "loud": True})
    assert [each.detail for each in found] == [
        "there is no config key regoin; did you mean region?",
        "this must be a number",
    ]


def test_values_problems_are_bounded() -> None:
    assert len(check_values(FIELDS, {f"x{number}": 1 for number in range(10_000)})) == 100


def test_values_details_quote_no_value() -> None:
    values = {"hook": 5, "shop": {"username": "s3cret:", "password": 1}, "nightly": ["s3cret"], "region": "s3cret"}
    assert not any("s3cret" in each.detail for each in check_values(FIELDS, values))


@given(st.sampled_from(sorted(FIELDS)), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_values_of_any_shape_never_raise(key: str, value: Any) -> None:
    check_values(FIELDS, {key: value})
    check_values(FIELDS, {key: {"cron": value, "time_zone": value, "username": value, "password": value}})


def test_missing_are_required_without_value_and_default() -> None:
    assert missing(FIELDS, {"region": "eu"}) == [Problem("#/config/shop", "missing", "shop is required")]
    assert [each.pointer for each in missing(FIELDS, {"shop": None})] == ["#/config/shop", "#/config/region"]
    assert missing(FIELDS, {"shop": SHOP, "region": "eu"}) == []


def test_required_field_with_a_default_is_not_missing() -> None:
    field = ConfigField.model_validate({"key": "a", "type": "string", "required": True, "default": "x"})
    assert missing({"a": field}, {}) == []
    assert [each.pointer for each in missing({"a": field.model_copy(update={"default": None})}, {})] == ["#/config/a"]


def test_misfits_after_a_change_of_version() -> None:
    stored = {"region": "us", "big": 5, "gone": "kept", "shop": {"token": "of another kind"}}
    assert [(each.pointer, each.code) for each in misfits(FIELDS, stored)] == [
        ("#/config/region", "not_an_option"),
        ("#/config/shop/token", "unknown_key"),
        ("#/config/shop/username", "missing"),
        ("#/config/shop/password", "missing"),
    ]


def test_config_state_wants_all_and_fitting() -> None:
    assert config_state(FIELDS, {"shop": SHOP, "region": "eu"})
    assert not config_state(FIELDS, {"shop": SHOP})
    assert not config_state(FIELDS, {"shop": SHOP, "region": "us"})


def test_resolve_divides_what_is_public_and_what_is_secret() -> None:
    assert resolve(FIELDS, {"shop": SHOP, "region": "eu", "loud": True, "gone": 1}) == ResolvedConfig(
        public={
            "shop": {"username": "ann"},
            "endpoint": "https://shop.example.com",
            "region": "eu",
            "big": None,
            "loud": True,
            "nightly": {"type": "cron", "cron": "0 3 * * *", "time_zone": "UTC"},
        },
        secrets={"hook": "initial"},
        connections={"shop": {"kind": "http/basic", "values": SHOP, "hosts": ["shop.example.com"]}},
    )


def test_resolve_of_a_connection_that_is_not_set() -> None:
    resolved = resolve(FIELDS, {"hook": "other"})
    assert resolved.public["shop"] is None
    assert resolved.connections == {}
    assert resolved.secrets == {"hook": "other"}


def test_resolve_fills_in_the_defaults_of_a_kind() -> None:
    field = ConfigField.model_validate({"key": "a", "type": "connection", "connection": "http/api_key"})
    resolved = resolve({"a": field}, {"a": {"name": "X", "value": "v"}})
    assert resolved.connections["a"]["values"] == {"name": "X", "value": "v", "in": "header"}
    assert resolved.public["a"] == {"name": "X", "in": "header"}


def test_with_changes_leaves_the_rest() -> None:
    before = {"region": "eu", "big": 5}
    assert with_changes(FIELDS, before, {"big": None, "loud": False, "endpoint": None}) == {
        "region": "eu",
        "loud": False,
    }
    assert before == {"region": "eu", "big": 5}


def test_describe_shows_pages_and_no_secrets() -> None:
    stored = {"shop": SHOP, "hook": "s3cret", "big": 5}
    problems = [Problem("#/config/shop/token", "unknown_key", "x"), Problem("#/config/region", "missing", "y")]
    connect, options = describe(PAGES, stored, problems)
    assert (connect["name"], connect["tagline"]) == ("Connect", "Where your shop lives")
    assert (options["name"], options["tagline"]) == ("Options", None)
    shop, endpoint, hook = connect["fields"]
    assert shop == {
        "key": "shop",
        "type": "connection",
        "label": "shop",
        "description": None,
        "required": True,
        "default": None,
        "value": {"username": "ann"},
        "is_set": True,
        "options": None,
        "live_options": False,
        "collection": None,
        "secret": False,
        "visible_to": "customer",
        "language": None,
        "schema": None,
        "ui_schema": None,
        "errors": [{"code": "unknown_key", "detail": "x"}],
    }
    assert (endpoint["label"], endpoint["default"], endpoint["value"]) == ("Endpoint", "https://shop.example.com", None)
    assert (endpoint["required"], endpoint["is_set"]) == (False, False)
    assert (hook["value"], hook["default"], hook["is_set"]) == (None, None, True)
    region, big, *_ = options["fields"]
    assert (region["options"], region["errors"]) == (["eu", 1, True], [{"code": "missing", "detail": "y"}])
    assert (big["value"], big["required"]) == (5, False)
    assert "s3cret" not in str([connect, options])


def test_describe_of_a_connection_that_no_longer_fits() -> None:
    (page, _) = describe(PAGES, {"shop": {"username": "ann", "token": "s3cret"}}, [])
    assert (page["fields"][0]["value"], page["fields"][0]["is_set"]) == (None, True)
