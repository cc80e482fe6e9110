"""Ids as moments: all of them begin with the milliseconds of their making (runtime/ids.py makes them)."""

from datetime import UTC, datetime

from domain.executions import CROCKFORD, crockford

RANDOM_BITS = 80
OF_TIME, OF_ID = 10, 26  # characters


def first_id(prefix: str, at: datetime) -> str:
    """No id that is made from then on is below it."""
    milliseconds = max(0, int(at.timestamp() * 1000))
    return f"{prefix}_{crockford(milliseconds << RANDOM_BITS, OF_ID)}"


def made_at(text: str) -> datetime:
    """To the millisecond. Raises ValueError for what is no id."""
    digits = text.partition("_")[2]
    if len(digits) != OF_ID or not set(digits) <= set(CROCKFORD):
        raise ValueError(f"{text!r} is no id")
    number = 0
    for digit in digits[:OF_TIME]:
        number = number * len(CROCKFORD) + CROCKFORD.index(digit)
    try:
        return datetime.fromtimestamp(number / 1000, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise ValueError(f"{text!r} is of no time") from error
