"""Headers and query pairs of the `http` component: what may be sent, and what an answer's headers say."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from components.inputs import as_text
from domain.errors import StepFailed

LONGEST_RETRY_AFTER = 24 * 3600.0
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
# The client writes these from what it sends; `host` would also lead a secret past the connection's hosts.
_FRAMING = frozenset({"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"})


def text_pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and texts: a list repeats its name, an absent value is left out."""
    return [
        (name, as_text(item))
        for name, value in values.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    ]


def request_headers(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [(name, value.strip(" \t")) for name, value in text_pairs(values)]
    for name, value in pairs:
        if not sendable_name(name):
            raise _refused(f"{name!r:.100} cannot be set as a header")
        if not sendable_value(value):
            raise _refused(f"the value of the header {name} holds characters that no header can carry")
    return pairs


def sendable_name(name: str) -> bool:
    return bool(name) and set(name.lower()) <= _TOKEN and name.lower() not in _FRAMING


def sendable_value(value: str) -> bool:
    return value.isascii() and value.replace("\t", " ").isprintable()


def joined(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Lower-case names; what is repeated is joined."""
    result: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        result[key] = f"{result[key]}, {value}" if key in result else value
    return result


def retry_after(text: str, now: datetime) -> float | None:
    """Seconds to wait, from a number of seconds or a date; None when absent or unreadable."""
    if text.isascii() and text.isdigit():
        return min(float(text[:20]), LONGEST_RETRY_AFTER)
    try:
        wanted = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), LONGEST_RETRY_AFTER)


def _refused(message: str) -> StepFailed:
    return StepFailed(message, code="invalid_header", permanent=True)
