"""Instants as text: RFC 3339 and nothing looser, and the one form that is kept, in UTC with a `Z`."""

import re
from datetime import UTC, datetime

RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def read_instant(text: str) -> datetime | None:
    """In UTC; None for text that is no RFC 3339 timestamp, or one that does not exist."""
    if not RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def utc_text(instant: datetime) -> str:
    """`2026-03-01T12:00:00Z`, with microseconds where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
