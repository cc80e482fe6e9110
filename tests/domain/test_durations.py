"""The notation of durations."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.durations import LONGEST, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("24h", timedelta(days=1)),
        ("0s", timedelta()),
        ("720h", timedelta(days=30)),
    ],
)
def test_parse_duration_of_accepted_forms(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "s", "1.5s", "-5s", "+5s", "5 s", " 5s", "5S", "7d", "1h30m", "5mss", "٥s", "1_0s", "5s\n"]
)
def test_parse_duration_of_other_forms_names_the_accepted(text: str) -> None:
    with pytest.raises(ValueError, match="500ms, 30s, 5m or 24h"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["721h", "2592000001ms", "9" * 5000 + "ms"])
def test_parse_duration_is_bounded(text: str) -> None:
    with pytest.raises(ValueError, match="30 days"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=90), "90s"),
        (timedelta(hours=48), "48h"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(microseconds=2_000_900), "2s"),
    ],
)
def test_format_duration_is_shortest(duration: timedelta, expected: str) -> None:
    assert format_duration(duration) == expected


@given(st.integers(0, int(LONGEST.total_seconds() * 1000)))
def test_format_duration_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration
