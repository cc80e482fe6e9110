"""Durations as people write them in definitions: `500ms`, `30s`, `5m`, `24h`."""

from datetime import timedelta

LONGEST = timedelta(days=30)

_UNITS = {
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_MOST_DIGITS = 12


def parse_duration(text: str) -> timedelta:
    """Raises ValueError, with the accepted forms, for anything but a whole number and a unit, up to 30 days."""
    digits = text.rstrip("hms")
    unit = _UNITS.get(text[len(digits) :])
    if unit is None or not (digits.isascii() and digits.isdigit()):
        raise ValueError("a duration is a whole number with ms, s, m or h, such as 500ms, 30s, 5m or 24h")
    if len(digits) > _MOST_DIGITS or int(digits) * unit > LONGEST:
        raise ValueError("a duration is at most 30 days (720h)")
    return int(digits) * unit


def format_duration(duration: timedelta) -> str:
    """The shortest notation that `parse_duration` reads back; what is finer than a millisecond is dropped."""
    whole = duration - duration % _UNITS["ms"]
    if not whole:
        return "0s"
    name, unit = next((name, unit) for name, unit in _UNITS.items() if not whole % unit)
    return f"{whole // unit}{name}"
