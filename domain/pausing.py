"""Pauses: whether a delivery is refused or held meanwhile, and how what was held goes out again."""

from enum import StrEnum

DEFAULT_RATE = 20.0  # executions a second
SLOWEST, FASTEST = 0.01, 1000.0
MOST_AT_ONCE = 100

HELD = "held"
DISCARDED = "discarded"


class PauseMode(StrEnum):
    DROP = "drop"
    HOLD = "hold"


class Keep(StrEnum):
    """Of what was held."""

    ALL = "all"
    LATEST = "latest"
    NONE = "none"


def burst(rate_per_second: float) -> int:
    """How many go out together: those of a second, or a single one where that takes longer."""
    return min(max(round(rate_per_second), 1), MOST_AT_ONCE)


def pace(rate_per_second: float) -> float:
    """Seconds from one burst to the next."""
    return burst(rate_per_second) / rate_per_second
