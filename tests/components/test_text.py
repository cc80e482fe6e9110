"""The `text` component."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.text import LONGEST
from domain.errors import StepFailed
from tests.fakes import run_action


@given(st.lists(st.text("ab"), min_size=1), st.text("-|", min_size=1))
async def test_split_undoes_join(items: list[str], separator: str) -> None:
    joined = await run_action("text.join", {"items": items, "separator": separator})
    assert await run_action("text.split", {"text": joined, "separator": separator}) == items


async def test_join_writes_values_as_templates_do() -> None:
    assert await run_action("text.join", {"items": ["a", 1, None, {"b": 2}]}) == 'a1{"b":2}'
    assert await run_action("text.join", {"items": [], "separator": ", "}) == ""


@pytest.mark.parametrize(
    ("text", "find", "put", "expected"),
    [("a.b.c", ".", "", "abc"), ("aaa", "aa", "b", "ba"), ("x", "y", "z", "x"), ("$1", "$1", "\\1", "\\1")],
)
async def test_replace_takes_text_literally(text: str, find: str, put: str, expected: str) -> None:
    assert await run_action("text.replace", {"text": text, "find": find, "with": put}) == expected


@pytest.mark.parametrize(("action", "expected"), [("upper", " GRÜSSE "), ("lower", " grüße "), ("trim", "Grüße")])
async def test_case_and_edges(action: str, expected: str) -> None:
    assert await run_action(f"text.{action}", {"text": " Grüße "}) == expected


@pytest.mark.parametrize(
    ("key", "inputs", "named"),
    [
        ("text.split", {"text": "a", "separator": ""}, "separator"),
        ("text.replace", {"text": "a", "find": "", "with": "b"}, "find"),
        ("text.replace", {"text": "a", "find": "a"}, "with"),
        ("text.replace", {"text": "a", "find": "a", "with": None}, "with"),
        ("text.upper", {"text": None}, "text"),
        ("text.upper", {"text": 5}, "text"),
        ("text.join", {"items": "abc"}, "items"),
    ],
)
async def test_wrong_input_is_named(key: str, inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        await run_action(key, inputs)


@pytest.mark.parametrize(
    ("key", "inputs", "code"),
    [
        ("text.replace", {"text": "a" * 10_000, "find": "a", "with": "b" * 1_000}, "output_too_large"),
        ("text.join", {"items": ["", ""] * 10, "separator": "x" * (LONGEST // 10)}, "output_too_large"),
        ("text.split", {"text": "," * 100_000, "separator": ","}, "too_many_items"),
    ],
)
async def test_results_are_bounded(key: str, inputs: dict[str, Any], code: str) -> None:
    with pytest.raises(StepFailed) as failed:
        await run_action(key, inputs)
    assert failed.value.code == code


@given(st.text("abc"), st.text("ab", min_size=1), st.text("abc"))
async def test_replace_agrees_with_split_and_join(text: str, find: str, put: str) -> None:
    pieces = await run_action("text.split", {"text": text, "separator": find})
    joined = await run_action("text.join", {"items": pieces, "separator": put})
    assert await run_action("text.replace", {"text": text, "find": find, "with": put}) == joined
