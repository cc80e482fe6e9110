"""Cron expressions and time zones."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from domain.text import nearest, truncate

LONGEST_CRON = 200
YEARS = 5

_START = date(2025, 1, 1)
_HORIZON = [_START + timedelta(days=day) for day in range(YEARS * 365 + 1)]
_PART = r"[0-9]{1,4}|[A-KM-Z]{3}|JUL"
_FIELD = rf"(\*|({_PART})(-({_PART}))?)(/[0-9]{{1,4}})?"
_FIELDS = re.compile(rf"\s*{_FIELD}(,{_FIELD})*(\s+{_FIELD}(,{_FIELD})*){{4}}\s*", re.ASCII)


def check_cron(text: str) -> str | None:
    """What is wrong with a cron of five fields, if anything; one that does not fire within five years is wrong."""
    if len(text) > LONGEST_CRON:
        return f"a cron has at most {LONGEST_CRON} characters"
    if len(text.split()) != 5:
        return "a cron has five fields: minute, hour, day of month, month, day of week"
    parsed = _parse(text)
    if parsed and any(parsed.match_day(day) for day in _HORIZON if day.month in parsed.months):
        return None
    minute, hour, day, month, weekday = text.split()
    # CronSim refuses a day that none of the months has; each of the two is fine by itself.
    if _parse(f"{minute} {hour} {day} * {weekday}") and _parse(f"{minute} {hour} 1 {month} {weekday}"):
        return f"{text} never fires within {YEARS} years"
    return f"{truncate(text, 60)} is not a cron, such as 0 3 * * *"


def check_time_zone(name: str) -> str | None:
    if name in _time_zones():
        return None
    hint = nearest(name, _time_zones())
    return f"{truncate(name, 60)} is no time zone" + (f"; did you mean {hint}?" if hint else "")


def next_runs(cron: str, time_zone: str, after: datetime, count: int = 3) -> list[datetime]:
    """When a valid cron fires next, in UTC."""
    runs = CronSim(cron, after.astimezone(ZoneInfo(time_zone)))
    return [run.astimezone(UTC) for run in islice(runs, count)]


def calendar_crons(cron: str) -> list[str]:
    """The same for a calendar that wants day of month *and* day of week to match, as Temporal's does.

    A cron that restricts both fires when either matches, so it becomes two.
    """
    minute, hour, day, month, weekday = cron.split()
    if day.startswith("*") or weekday.startswith("*"):
        return [" ".join((minute, hour, day, month, weekday))]
    return [f"{minute} {hour} {day} {month} *", f"{minute} {hour} * {month} {weekday}"]


Calendar = tuple[frozenset[int], ...]


def calendars(cron: str) -> set[Calendar]:
    """The minutes, hours, days of month, months and days of week (Sunday: 0) of a valid cron, for such calendars."""
    return {_calendar(CronSim(each, datetime(_START.year, 1, 1, tzinfo=UTC))) for each in calendar_crons(cron)}


def _calendar(cron: CronSim) -> Calendar:
    weekdays = {day % 7 for day in cron.weekdays if isinstance(day, int)}
    return tuple(frozenset(each) for each in (cron.minutes, cron.hours, cron.days, cron.months, weekdays))


def _parse(text: str) -> CronSim | None:
    """Only what every cron knows: no L, W, # or R."""
    if not _FIELDS.fullmatch(text.upper()):
        return None
    try:
        return CronSim(text, datetime(_START.year, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError, AssertionError, TypeError):
        return None


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
