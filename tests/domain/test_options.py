from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config import value_problems
from domain.definitions.model import ConfigField, OptionsFrom
from domain.errors import StepFailed
from domain.options import MOST_OPTIONS, Option, options_in


def source(**paths: str) -> OptionsFrom:
    return OptionsFrom(action="http.get", **paths)


@pytest.mark.parametrize(
    ("paths", "output", "expected"),
    [
        ({}, ["eu", "us"], [Option("eu", "eu"), Option("us", "us")]),
        ({"items": "body"}, {"body": [1, 2.5]}, [Option(1, "1"), Option(2.5, "2.5")]),
        (
            {"items": "body.data", "value": "id", "label": "name"},
            {"body": {"data": [{"id": "a", "name": "Alpha"}, {"id": "b"}, {"id": "a", "name": "Again"}]}},
            [Option("a", "Alpha"), Option("b", "b")],
        ),
        ({"items": "[1]", "value": "[0]"}, [0, [["x"], ["y"]]], [Option("x", "x"), Option("y", "y")]),
        ({"value": "key", "label": "value"}, {"eu": "Europe"}, [Option("eu", "Europe")]),
        ({"value": "id"}, [{"id": None}, {"id": ""}, {"id": True}, {"id": "x" * 201}, {"id": 5}], [Option(5, "5")]),
        ({}, [], []),
        ({}, ["x\x00", "y"], [Option("y", "y")]),
        ({"label": "name"}, ["x"], [Option("x", "x")]),
    ],
)
def test_options_of_an_answer(paths: dict[str, str], output: Any, expected: list[Option]) -> None:
    assert options_in(source(**paths), output) == expected


@pytest.mark.parametrize(
    ("paths", "output", "message"),
    [
        ({}, "text", "http.get answered, but there is no list"),
        ({"items": "body.regions"}, {"body": {}}, "http.get answered, but there is no list at body.regions"),
        ({"value": "id"}, [{"key": 1}], "No item of the list has a text or a number at id"),
        ({}, [{"id": 1}], "No item of the list has a text or a number at its place"),
    ],
)
def test_answer_without_options(paths: dict[str, str], output: Any, message: str) -> None:
    with pytest.raises(StepFailed) as caught:
        options_in(source(**paths), output)
    assert (caught.value.message, caught.value.code) == (message, "no_options")


def test_options_are_bounded() -> None:
    assert len(options_in(source(), list(range(2 * MOST_OPTIONS)))) == MOST_OPTIONS


@given(st.lists(st.text(max_size=250) | st.integers() | st.floats() | st.booleans() | st.none()))
def test_every_option_may_be_set(items: list[Any]) -> None:
    field = ConfigField(key="a", type="picklist", options_from=source())
    try:
        found = options_in(source(), items)
    except StepFailed:
        return
    assert [value_problems(field, option.value, "") for option in found] == [[]] * len(found)
