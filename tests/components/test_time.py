"""The `time` component."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import StepFailed
from tests.fakes import NOW, run_action


async def failure(key: str, inputs: dict[str, Any]) -> str:
    with pytest.raises(StepFailed) as failed:
        await run_action(key, inputs)
    return failed.value.code


async def test_now_is_the_steps_time() -> None:
    assert await run_action("time.now", {}) == "2026-03-01T12:30:00Z"
    assert await run_action("time.now", {}, now=NOW.replace(microsecond=250_000)) == "2026-03-01T12:30:00.250000Z"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, "2026-03-01T12:30:00Z"),
        ({"days": -1, "hours": 2, "minutes": 0.5}, "2026-02-28T14:30:30Z"),
        ({"to": "2026-12-31", "seconds": 1}, "2026-12-31T00:00:01Z"),
        ({"to": "2026-03-29T01:30:00+01:00", "hours": 1}, "2026-03-29T01:30:00Z"),
    ],
)
async def test_add_moves_a_time(inputs: dict[str, Any], expected: str) -> None:
    assert await run_action("time.add", inputs) == expected


@pytest.mark.parametrize("inputs", [{"days": 10**9}, {"days": -(10**6)}, {"seconds": 1e300}])
async def test_add_beyond_the_calendar_fails(inputs: dict[str, Any]) -> None:
    assert await failure("time.add", inputs) == "time_out_of_range"


@pytest.mark.parametrize(
    ("form", "zone", "expected"),
    [
        ("%Y-%m-%d %H:%M:%S %z", None, "2026-03-01 22:05:09 +0000"),
        ("%d.%m.%y %I:%M %p", "Europe/Berlin", "01.03.26 11:05 PM"),
        ("%A %a %B %b %j %%Y", "Asia/Tokyo", "Monday Mon March Mar 061 %Y"),
        ("%f %Z", "Europe/Berlin", "000000 CET"),
        ("", None, ""),
    ],
)
async def test_format_writes_in_a_time_zone(form: str, zone: str | None, expected: str) -> None:
    inputs = {"time": "2026-03-01T22:05:09Z", "format": form} | ({"time_zone": zone} if zone else {})
    assert await run_action("time.format", inputs) == expected


async def test_format_beyond_the_calendar_fails() -> None:
    inputs = {"time": "0001-01-01", "format": "%Y", "time_zone": "America/New_York"}
    assert await failure("time.format", inputs) == "time_out_of_range"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"text": "2026-03-01T12:00:00+02:00"}, "2026-03-01T10:00:00Z"),
        ({"text": " 2026-03-01 "}, "2026-03-01T00:00:00Z"),
        ({"text": "2026-07-01T12:00:00", "time_zone": "Europe/Berlin"}, "2026-07-01T10:00:00Z"),
        (
            {"text": "01.12.2026 08:15", "format": "%d.%m.%Y %H:%M", "time_zone": "Europe/Berlin"},
            "2026-12-01T07:15:00Z",
        ),
        ({"text": "1 Mar 26 +0100", "format": "%d %b %y %z", "time_zone": "Asia/Tokyo"}, "2026-02-28T23:00:00Z"),
    ],
)
async def test_parse_reads_a_time(inputs: dict[str, Any], expected: str) -> None:
    assert await run_action("time.parse", inputs) == expected


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"text": "tomorrow"}, "invalid_time"),
        ({"text": ""}, "invalid_time"),
        ({"text": "2026-02-30"}, "invalid_time"),
        ({"text": "1.2", "format": "%d.%m.%Y"}, "invalid_time"),
        ({"text": "1 1", "format": "%d %d"}, "invalid_time"),
        ({"text": "UTC", "format": "%Z"}, "invalid_time"),
        ({"text": "(1", "format": "(%d)"}, "invalid_time"),
        ({"text": "0001-01-01", "time_zone": "Asia/Tokyo"}, "time_out_of_range"),
    ],
)
async def test_parse_refuses_what_it_cannot_read(inputs: dict[str, Any], code: str) -> None:
    assert await failure("time.parse", inputs) == code


@pytest.mark.parametrize(
    ("key", "inputs", "named"),
    [
        ("add", {"to": "now"}, "to\n"),
        ("add", {"days": "1"}, "days"),
        ("format", {"time": None, "format": "%Y"}, "time\n"),
        ("format", {"time": 1_700_000_000, "format": "%Y"}, "time\n"),
        ("format", {"time": "2026-03-01", "format": "%c"}, "%c is none of"),
        ("format", {"time": "2026-03-01", "format": "%"}, "format"),
        ("format", {"time": "2026-03-01", "format": "%-d"}, "format"),
        ("format", {"time": "2026-03-01", "format": "\x00"}, "format"),
        ("format", {"time": "2026-03-01", "format": "x" * 201}, "format"),
        ("format", {"time": "2026-03-01", "format": "%Y", "time_zone": "Mars/Base"}, "time_zone"),
        ("format", {"time": "2026-03-01", "format": "%Y", "time_zone": "../etc/passwd"}, "time_zone"),
        ("format", {"time": "2026-03-01", "format": "%Y", "time_zone": "Europe"}, "time_zone"),
        ("format", {"time": "2026-03-01", "format": "%Y", "time_zone": ""}, "time_zone"),
        ("format", {"time": "2026-03-01", "format": "%Y", "time_zone": 5}, "time_zone"),
        ("parse", {"text": 5}, "text"),
    ],
)
async def test_wrong_input_is_named(key: str, inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        await run_action(f"time.{key}", inputs)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.sampled_from(["UTC", "Asia/Kathmandu"]))
async def test_parse_undoes_format(moment: datetime, zone: str) -> None:
    form = {"format": "%Y/%m/%d %H-%M-%S.%f %z", "time_zone": zone}
    text = await run_action("time.format", {"time": moment.isoformat()} | form)
    assert datetime.fromisoformat(await run_action("time.parse", {"text": text} | form)) == moment.replace(tzinfo=UTC)


@given(st.text(max_size=20), st.text("%dmYHj.()[]*+ \\", max_size=12))
async def test_parse_never_breaks(text: str, form: str) -> None:
    try:
        await run_action("time.parse", {"text": text, "format": form})
    except (StepFailed, ValidationError):
        return
