"""Input types that components share."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from components.inputs import MOST_ITEMS, ItemPath, Items, Number, Seconds, as_text, at
from domain.values import Path

NUMBER: TypeAdapter[int | float] = TypeAdapter(Number)
SECONDS: TypeAdapter[float] = TypeAdapter(Seconds)
PATH: TypeAdapter[Path] = TypeAdapter(ItemPath)
ITEMS: TypeAdapter[list[Any]] = TypeAdapter(Items)


@pytest.mark.parametrize("value", [0, -7, 2**1023 - 1, 1.5, 1e308])
def test_number_keeps_its_type(value: int | float) -> None:
    read = NUMBER.validate_python(value)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("5", "not text"),
        (True, "not boolean"),
        (None, "not null"),
        ([1], "not list"),
        (2**1024, "309 digits"),
        (float("inf"), "309 digits"),
        (float("nan"), "309 digits"),
    ],
)
def test_number_refuses_what_is_none(value: Any, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        NUMBER.validate_python(value)


@pytest.mark.parametrize(("value", "seconds"), [("500ms", 0.5), ("2m", 120.0), (3, 3.0), (0.25, 0.25)])
def test_seconds_reads_durations_and_numbers(value: Any, seconds: float) -> None:
    assert SECONDS.validate_python(value) == seconds


@pytest.mark.parametrize("value", ["", "5", "0ms", 0, -1, True, None, "1 week"])
def test_seconds_refuses_other_values(value: Any) -> None:
    with pytest.raises(ValidationError):
        SECONDS.validate_python(value)


@pytest.mark.parametrize(
    ("path", "found"), [("a.b", 1), ("[0]", None), ('["x y"]', 2), ("gone.away", None), ("list[1]", "second")]
)
def test_item_path_looks_into_an_item(path: str, found: Any) -> None:
    item = {"a": {"b": 1}, "x y": 2, "list": ["first", "second"]}
    assert at(PATH.validate_python(path), item) == found


@pytest.mark.parametrize("path", ["", ".", "a b", "a..b", "{{ a }}", "a}}", 5, None])
def test_item_path_refuses_other_notations(path: Any) -> None:
    with pytest.raises(ValidationError, match=r"a path such as a\.b"):
        PATH.validate_python(path)


def test_no_path_is_the_item_itself() -> None:
    assert at(None, {"a": 1}) == {"a": 1}


def test_items_are_bounded() -> None:
    assert len(ITEMS.validate_python([0] * MOST_ITEMS)) == MOST_ITEMS
    with pytest.raises(ValidationError, match="100000"):
        ITEMS.validate_python([0] * (MOST_ITEMS + 1))


@given(st.text())
def test_text_is_its_own_text(text: str) -> None:
    assert as_text(text) == text


@pytest.mark.parametrize(("value", "text"), [(None, ""), (True, "true"), (1.0, "1.0"), ({"a": ["ä"]}, '{"a":["ä"]}')])
def test_values_become_text_as_in_templates(value: Any, text: str) -> None:
    assert as_text(value) == text
