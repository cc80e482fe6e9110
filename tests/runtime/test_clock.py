from datetime import UTC, datetime, timedelta

from runtime.clock import utcnow


def test_now_is_aware_and_utc() -> None:
    now = utcnow()
    assert now.tzinfo is UTC
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)
