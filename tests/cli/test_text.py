"""Values as text."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.text import cell, dump_json, is_instant, leaves, pluck, printable, relative

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "true"),
        (1.5, "1.5"),
        ("a", "a"),
        (["a", "b"], "a, b"),
        ([], ""),
        ([1], "[1]"),
        ({"a": "ä"}, '{"a": "ä"}'),
    ],
)
def test_cell(value: Any, shown: str) -> None:
    assert cell(value) == shown


def test_cell_cannot_steer_the_terminal() -> None:
    assert cell("\x1b[2Jgone\x9b\nnext") == "\\x1b[2Jgone\\x9b next"
    assert cell(["\x1b"]) == "\\x1b"


def test_printable_survives_lone_surrogates() -> None:
    assert printable("\ud800").encode()


@pytest.mark.parametrize("value", ["\x1b[2J", "\x9b2J", "\ud800", "ä→🙂"])
def test_json_is_safe_to_print_and_the_same(value: str) -> None:
    text = dump_json({"v": value})
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in text)
    assert text.encode()
    assert json.loads(text) == {"v": value}


def test_json_is_readable_in_any_language() -> None:
    assert dump_json("Grüße 🙂") == '"Grüße 🙂"'


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        ("2026-03-01T12:00:00.000000Z", "now"),
        ("2026-03-01T11:59:59.500000Z", "now"),
        ("2026-03-01T11:59:01.000000Z", "59s ago"),
        ("2026-03-01T11:00:00.000000Z", "1h ago"),
        ("2026-02-01T12:00:00.000000Z", "28d ago"),
        ("2026-03-01T12:03:30.000000Z", "in 3m"),
    ],
)
def test_relative(instant: str, shown: str) -> None:
    assert relative(instant, NOW) == shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2026-03-01T12:00:00.000000Z", True), ("2026-03-01", False), ("x 2026-03-01T12:00:00Z", False), (5, False)],
)
def test_instants_are_recognised(value: Any, expected: bool) -> None:
    assert is_instant(value) is expected


def test_pluck_walks_and_forgives() -> None:
    item = {"a": {"b": 1}, "n": None, "x.y": 2}
    assert [pluck(item, path) for path in ("a.b", "a", "n.b", "a.c", "z", "x.y", "a.b.c")] == [
        1,
        {"b": 1},
        None,
        None,
        None,
        2,
        None,
    ]


def test_leaves_leave_lists_and_empty_objects_alone() -> None:
    assert leaves({"a": {"b": {"c": 1}, "d": {}}, "e": [{"f": 1}]}) == ["a.b.c", "a.d", "e"]
