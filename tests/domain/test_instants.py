from datetime import UTC, datetime

import pytest

from domain.instants import read_instant, utc_text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"),
        ("2026-03-01t12:00:00z", "2026-03-01T12:00:00Z"),
        ("2026-03-01T12:00:00+01:00", "2026-03-01T11:00:00Z"),
        ("2026-03-01T23:30:00.25-02:00", "2026-03-02T01:30:00.250000Z"),
    ],
)
def test_instant_is_kept_in_utc(text: str, kept: str) -> None:
    found = read_instant(text)
    assert found is not None
    assert found.tzinfo is UTC
    assert utc_text(found) == kept


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-01",
        "2026-03-01T12:00:00",
        "2026-03-01 12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-03-01T24:00:01Z",
        "2026-03-01T12:00:00+01",
        "0001-01-01T00:00:00+14:00",
        "２026-03-01T12:00:00Z",
    ],
)
def test_instant_that_is_none(text: str) -> None:
    assert read_instant(text) is None


def test_text_of_an_instant_of_another_zone() -> None:
    assert utc_text(datetime.fromisoformat("2026-03-01T12:00:00+05:30")) == "2026-03-01T06:30:00Z"
