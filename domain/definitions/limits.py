"""Durations of a definition and their bounds."""

from datetime import timedelta

from domain.definitions.places import Report
from domain.durations import format_duration, parse_duration
from domain.values import Location


def check_duration(
    text: str,
    at: Location,
    report: Report,
    longest: timedelta | None = None,
    *,
    shortest: timedelta = timedelta(),
    zero: bool = False,
) -> None:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        report.add(at, "bad_duration", str(error))
        return
    if not duration and not zero:
        report.add(at, "bad_duration", "this must be longer than nothing")
    elif duration < shortest:
        report.add(at, "bad_duration", f"this is at least {format_duration(shortest)}")
    if longest is not None and duration > longest:
        report.add(at, "bad_duration", f"this is at most {format_duration(longest)}")
