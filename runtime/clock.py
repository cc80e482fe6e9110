"""The time of day, for everything outside workflows."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Aware, UTC, with microseconds."""
    return datetime.now(UTC)
