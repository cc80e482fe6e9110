"""Values as text for a terminal: what a stranger wrote into them cannot move the cursor or hide anything."""

import json
import re
from datetime import datetime, timedelta
from typing import Any

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
ESCAPED_IN_JSON = re.compile(r"[\x7f-\x9f\ud800-\udfff]")  # the rest of the controls JSON escapes by itself

UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def dump_json(value: Any, *, indent: int | None = None) -> str:
    """Readable in any language, and safe to print."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return ESCAPED_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def printable(text: str) -> str:
    """On one line, with control characters spelled out."""
    return CONTROL.sub(lambda match: " " if match[0] in "\n\r\t" else f"\\x{ord(match[0]):02x}", text)


def cell(value: Any) -> str:
    """A value where there is room for a line."""
    if value is None:
        return ""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return printable(", ".join(value))
    return dump_json(value)


def is_instant(value: Any) -> bool:
    return isinstance(value, str) and INSTANT.fullmatch(value) is not None


def relative(value: str, now: datetime) -> str:
    """`3m ago`, `in 2h`: the largest unit only."""
    distance = now - datetime.fromisoformat(value)
    amount = _amount(abs(distance))
    if amount is None:
        return "now"
    return f"{amount} ago" if distance > timedelta() else f"in {amount}"


def _amount(distance: timedelta) -> str | None:
    seconds = int(distance.total_seconds())
    return next((f"{seconds // size}{unit}" for unit, size in UNITS if seconds >= size), None)


def pluck(item: Any, path: str) -> Any:
    """What stands at `customer.name`; None where there is no such place."""
    if not isinstance(item, dict):
        return None
    if path in item:
        return item[path]
    head, _, rest = path.partition(".")
    return pluck(item.get(head), rest) if rest else None


def leaves(item: dict[str, Any], prefix: str = "") -> list[str]:
    """The paths of everything in it; lists are not taken apart."""
    found = []
    for key, value in item.items():
        inside = isinstance(value, dict) and bool(value)
        found += leaves(value, f"{prefix}{key}.") if inside else [f"{prefix}{key}"]
    return found
