"""Markers that stand for secrets, and masking. The macs here are `mac of <key>`."""

import json
from base64 import b64encode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.values import MASK, evaluate, is_secret_marker, mask, resolve_secrets, secret_marker

SECRETS = {"token": "s3cr3t-token", "pin": "4321"}
TOKEN = secret_marker("token", "mac of token")
PIN = secret_marker("pin", "mac of pin")
FORGED = secret_marker("token", "guess")
ROOTS = {"config": {"token": TOKEN, "pin": PIN, "forged": FORGED, "url": "u"}, "trigger": {"body": FORGED}}
SECRET_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="•"), min_size=4, max_size=12)
DATA = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def resolve(key: str, mac: str) -> str | None:
    return SECRETS.get(key) if mac == f"mac of {key}" else None


def strings_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in strings_in(item))]
    if isinstance(value, list):
        return [text for item in value for text in strings_in(item)]
    return [value] if isinstance(value, str) else []


def test_marker_survives_json_and_evaluation() -> None:
    inputs = {"auth": "{{ config.token }}", "header": "Bearer {{ config.token }}:{{ config.pin }}", "n": 1}
    evaluated = json.loads(json.dumps(evaluate(inputs, ROOTS)))
    assert "s3cr3t" not in json.dumps(evaluated)
    value, used = resolve_secrets(evaluated, resolve)
    assert value == {"auth": "s3cr3t-token", "header": "Bearer s3cr3t-token:4321", "n": 1}
    assert sorted(used) == ["4321", "s3cr3t-token"]


@pytest.mark.parametrize(
    "value",
    [
        FORGED,
        {**TOKEN, "more": 1},
        {"$flowgraft.secret": "token"},
        {"$flowgraft.secret": ["token"], "mac": "mac of token"},
        {"$flowgraft.parts": ["a", FORGED]},
        {"$flowgraft.parts": ["a", "b"]},
        {"$flowgraft.parts": []},
        {"$flowgraft.parts": "a"},
        {"$flowgraft.parts": [{"$flowgraft.parts": [FORGED]}, None, 1]},
    ],
)
def test_data_that_poses_as_a_secret_stays_data(value: Any) -> None:
    assert resolve_secrets({"a": [value]}, resolve) == ({"a": [value]}, [])


def test_parts_that_are_not_ours_still_have_their_markers_resolved() -> None:
    value, used = resolve_secrets({"$flowgraft.parts": ["a", TOKEN, FORGED]}, resolve)
    assert value == {"$flowgraft.parts": ["a", "s3cr3t-token", FORGED]}
    assert used == ["s3cr3t-token"]


def test_data_in_a_template_is_text_even_if_it_poses_as_a_marker() -> None:
    assert evaluate("<{{ trigger.body }}>", ROOTS) == f"<{json.dumps(FORGED, separators=(',', ':'))}>"


def test_markers_never_become_text() -> None:
    text = evaluate("all: {{ config }}", ROOTS)
    assert text == 'all: {"token":null,"pin":null,"forged":null,"url":"u"}'


def test_resolve_secrets_leaves_its_argument_alone() -> None:
    value = {"a": [TOKEN]}
    resolve_secrets(value, resolve)
    assert value == {"a": [TOKEN]}
    assert is_secret_marker(TOKEN)
    assert not is_secret_marker("token")


def test_resolve_secrets_of_very_deep_data_needs_no_stack() -> None:
    value: Any = TOKEN
    for _ in range(20_000):
        value = [value]
    assert resolve_secrets(value, resolve)[1] == ["s3cr3t-token"]


@given(DATA)
def test_resolve_secrets_keeps_plain_data(value: Any) -> None:
    assert resolve_secrets(value, resolve) == (value, [])


def test_mask_replaces_in_strings_keys_and_numbers() -> None:
    value = {"x-4321": ["a 4321 b", 4321, 43210, True, None, ("4321",)], "ok": "432"}
    assert mask(value, ["4321"]) == {f"x-{MASK}": [f"a {MASK} b", MASK, 43210, True, None, [MASK]], "ok": "432"}


def test_mask_prefers_the_longest_secret() -> None:
    assert mask("abcd-efgh abcd", ["abcd", "abcd-efgh"], text="#") == "# #"


def test_mask_ignores_short_secrets() -> None:
    value = {"a": "abc"}
    assert mask(value, ["abc", ""]) is value


@pytest.mark.parametrize(
    "leak",
    [
        quote("p/w +é\n"),
        quote_plus("p/w +é\n"),
        quote("p/w +é\n", safe=""),
        json.dumps("p/w +é\n"),
        json.dumps("p/w +é\n", ensure_ascii=False),
        b64encode("p/w +é\n".encode()).decode(),
        b64encode("p/w +é\n".encode()).decode().rstrip("="),
    ],
)
def test_mask_knows_the_usual_encodings(leak: str) -> None:
    masked = mask(f"before {leak} after", ["p/w +é\n"])
    assert leak not in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert MASK in masked


@given(SECRET_TEXTS, st.binary(max_size=7), st.binary(max_size=7))
def test_mask_finds_secrets_inside_base64(secret: str, before: bytes, after: bytes) -> None:
    for encode in (b64encode, urlsafe_b64encode):
        text = encode(before + secret.encode() + after).decode()
        assert MASK in mask(text, [secret])


@given(st.lists(SECRET_TEXTS, min_size=1, max_size=3), DATA, st.text(max_size=5), st.booleans())
def test_mask_leaves_no_secret(secrets: list[str], data: Any, around: str, as_key: bool) -> None:
    leaks = [around + secret + around for secret in secrets]
    leaks += [quote(secret, safe="") for secret in secrets] + [json.dumps(secret) for secret in secrets]
    value = [data, dict.fromkeys(leaks, data) if as_key else leaks]
    for text in strings_in(mask(value, secrets)):
        assert not any(secret in text for secret in secrets)


@given(DATA)
def test_mask_keeps_what_holds_no_secret(value: Any) -> None:
    assert mask(value, ["a secret longer than any text"]) == value
