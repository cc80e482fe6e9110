"""The value of a schedule's configuration field: none, once, minute, hour, day, week or cron."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from domain.schedules import check_cron, check_time_zone
from domain.text import nearest, truncate

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
EVERY = {  # what divides an hour, or a day, evenly: a cron cannot say anything else
    "minute": (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30),
    "hour": (1, 2, 3, 4, 6, 8, 12),
}

_KEYS: dict[str, tuple[str, ...]] = {
    "none": (),
    "once": (),
    "minute": ("every",),
    "hour": ("every", "minute"),
    "day": ("at",),
    "week": ("days", "at"),
    "cron": ("cron",),
}
_AT = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def check_schedule(value: Any) -> str | None:
    """What is wrong with `{type, …, time_zone?}`, if anything. Without a type it is a cron; a null cron means none."""
    if not isinstance(value, dict):
        return 'a schedule is an object such as {"type": "day", "at": "03:00", "time_zone": "Europe/Berlin"}'
    kind = value.get("type", "cron")
    if not isinstance(kind, str) or kind not in _KEYS:
        hint = nearest(kind, _KEYS) if isinstance(kind, str) else None
        return f"type must be one of {', '.join(_KEYS)}" + (f"; did you mean {hint}?" if hint else "")
    return next(_mistakes(kind, value), None)


def schedule_value(value: Mapping[str, Any]) -> dict[str, Any]:
    """What steps see of a value that `check_schedule` accepts: always `type`, `cron` and `time_zone`."""
    kind = value.get("type", "cron")
    cron = _cron(kind, value)
    return {
        "type": "none" if kind == "cron" and cron is None else kind,
        "cron": cron,
        "time_zone": value.get("time_zone") or "UTC",
    }


def _mistakes(kind: str, value: Mapping[str, Any]) -> Iterator[str]:
    known = ("type", *_KEYS[kind], "time_zone")
    for key in sorted(str(key) for key in value.keys() - set(known)):
        named = f"a schedule of type {kind}" if "type" in value else "a schedule without a type"
        yield f"unknown key {truncate(key, 60)}: {named} takes {', '.join(known)}"
    if kind in EVERY and not _is_whole(value.get("every", 1), EVERY[kind]):
        yield f"every must be one of {', '.join(map(str, EVERY[kind]))}"
    if kind == "hour" and not _is_whole(value.get("minute", 0), range(60)):
        yield "minute must be a whole number from 0 to 59"
    if kind in ("day", "week") and not _is_time(value.get("at", "00:00")):
        yield "at must be a time of day such as 03:00"
    if kind == "week" and not _are_days(value.get("days")):
        yield f"days must be a list of one or more of {', '.join(DAYS)}"
    if kind == "cron":
        yield from _cron_mistakes(value)
    zone = value.get("time_zone")
    if zone is not None and not isinstance(zone, str):
        yield "time_zone must be text"
    elif zone is not None and (wrong := check_time_zone(zone)):
        yield wrong


def _is_whole(value: Any, allowed: Collection[int]) -> bool:
    """Neither `true` nor `1.0` is."""
    return type(value) is int and value in allowed


def _cron_mistakes(value: Mapping[str, Any]) -> Iterator[str]:
    cron = value.get("cron")
    if cron is None:
        if "type" in value:
            yield "cron is missing"
    elif not isinstance(cron, str):
        yield "cron must be text"
    elif wrong := check_cron(cron):
        yield wrong


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and _AT.fullmatch(value) is not None


def _are_days(value: Any) -> bool:
    if not isinstance(value, list) or not value or not all(isinstance(day, str) for day in value):
        return False
    return len(set(value)) == len(value) and set(value) <= set(DAYS)


def _cron(kind: str, value: Mapping[str, Any]) -> str | None:
    every = value.get("every", 1)
    hour, minute = (int(part) for part in value.get("at", "00:00").split(":"))
    match kind:
        case "minute":
            return f"*/{every} * * * *"
        case "hour":
            return f"{value.get('minute', 0)} */{every} * * *"
        case "day":
            return f"{minute} {hour} * * *"
        case "week":
            days = sorted(DAYS.index(day) for day in value["days"])
            return f"{minute} {hour} * * {','.join(map(str, days))}"
        case "cron":
            cron: str | None = value.get("cron")
            return cron
    return None
