"""The strict JSON reader against hostile input, and against the standard library on honest input."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.jsontext import MAX_DEPTH, JsonRefused, dumps, strict_loads, webhook_json

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_strict_loads_agrees_on_well_formed_data(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert strict_loads(text.encode()) == json.loads(text) == value
    assert strict_loads(text) == value


@given(st.text(st.sampled_from('[]{}",:\\u0d81n -.e\ufeff'), max_size=30))
def test_strict_loads_never_accepts_what_json_refuses(text: str) -> None:
    try:
        value = strict_loads(text)
    except JsonRefused:
        return
    assert json.loads(text) == value


@given(st.binary(max_size=30))
def test_strict_loads_of_any_bytes_answers_or_refuses(data: bytes) -> None:
    parsed, value = webhook_json(data)
    assert parsed or value is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Expecting value"),
        (b"{} x", "Extra data"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("\ufeff{}", "byte order mark"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b"NaN", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"1e999", "too large"),
        (b"-1e999", "too large"),
        (b"1" * 4301, "digits"),
        (b'{"a": 1, "b": 2, "a": 3}', 'duplicate key "a"'),
        (b'{"x": {"\\u0061": 1, "a": 1}}', "duplicate key"),
        (b'"\\u0000"', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b'["\\ud800"]', "surrogate"),
        (b'{"\\udc00x": 1}', "surrogate"),
        ('"\ud800"', "surrogate"),
        (b'"\x00"', "control character"),
        (b"'a'", "Expecting value"),
        (b"[1,]", "Expecting value"),
    ],
)
def test_strict_loads_refuses(data: bytes | str, message: str) -> None:
    with pytest.raises(JsonRefused, match=message):
        strict_loads(data)


def test_strict_loads_tells_the_position() -> None:
    with pytest.raises(JsonRefused, match="line 2 column 2") as caught:
        strict_loads("{\n x: 1}")
    assert caught.value.position == 3


def test_strict_loads_keeps_surrogate_pairs_and_long_numbers() -> None:
    assert strict_loads(b'"\\ud83c\\udf89"') == "🎉"
    assert strict_loads(b"-" + b"1" * 4300) == -int("1" * 4300)


def test_strict_loads_depth_has_an_exact_limit() -> None:
    strict_loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(JsonRefused, match="deeper than 64") as caught:
        strict_loads("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    assert caught.value.position == MAX_DEPTH


@pytest.mark.parametrize(
    "text", ["[" * 200, '[[\\"' + "{" * 100, '\\"[', '"' + "[" * 200, '{"a":' * 100_000, "]" * 200]
)
def test_strict_loads_survives_broken_brackets(text: str) -> None:
    with pytest.raises(JsonRefused):
        strict_loads(text)


def test_strict_loads_does_not_count_brackets_in_strings_or_siblings() -> None:
    value = ["[{" * 100, '"[\\"[' * 100, [[]] * 100, {"}": "{"}]
    assert strict_loads(json.dumps(value)) == value


@pytest.mark.parametrize("text", ['"' + '\\"' * 1_000_000 + "[" * 65, '\\"' * 1_000_000 + "[" * 65])
def test_strict_loads_is_linear_in_broken_strings(text: str) -> None:
    with pytest.raises(JsonRefused):
        strict_loads(text)


def test_webhook_json_tells_null_from_refusal() -> None:
    assert webhook_json(b"null") == (True, None)
    assert webhook_json(b"nul") == (False, None)


def test_dumps_is_compact_and_refuses_nan() -> None:
    assert dumps({"ä": [1, 1.5, None, True]}) == '{"ä":[1,1.5,null,true]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps(float("nan"))
