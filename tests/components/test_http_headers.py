"""Headers and query pairs."""

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from components.http_headers import joined, request_headers, retry_after, text_pairs
from domain.errors import StepFailed
from tests.fakes import NOW


def test_pairs_put_values_as_text() -> None:
    values = {"a": [1, "x", None], "b": {"c": True}, "d": None, "e": False, "f": []}
    assert text_pairs(values) == [("a", "1"), ("a", "x"), ("b", '{"c":true}'), ("e", "false")]


def test_headers_are_trimmed() -> None:
    assert request_headers({"X-Shop": " north "}) == [("X-Shop", "north")]


@pytest.mark.parametrize("name", ["", "x y", "x:", "x\r\n", "ä", "Host", "content-length", "Transfer-Encoding"])
def test_header_name_is_refused(name: str) -> None:
    with pytest.raises(StepFailed) as failed:
        request_headers({name: "1"})
    assert (failed.value.code, failed.value.permanent) == ("invalid_header", True)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\x00", "ü"])
def test_header_value_is_refused_unshown(value: str) -> None:
    with pytest.raises(StepFailed, match="X-Shop") as failed:
        request_headers({"X-Shop": value})
    assert value not in failed.value.message


def test_joined_lowers_and_repeats() -> None:
    assert joined([("Vary", "a"), ("X-Id", "1"), ("vary", "b")]) == {"vary": "a, b", "x-id": "1"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("9" * 400, 86_400.0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("٣", None),
        ("Sun, 99 Mar 2026 12:31:30 GMT", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Sun, 01 Mar 2026 12:31:30 -0000", 90.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: Any) -> None:
    assert retry_after(text, NOW) == seconds
