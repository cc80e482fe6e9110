from datetime import UTC, datetime, timedelta

import pytest

from domain.executions import Status
from domain.retention import End, Kind, Retention
from runtime.settings import Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
USUAL = Retention(executions=14 * DAY, payloads=14 * DAY, step_outputs=14 * DAY, logs=14 * DAY, unresolved=30 * DAY)
SHORT = Retention(executions=10 * DAY, payloads=3 * DAY, step_outputs=40 * DAY, logs=20 * DAY, unresolved=5 * DAY)


def end(status: str, days_ago: float | None, *, resolved: bool = False) -> End:
    return End(status, None if days_ago is None else NOW - days_ago * DAY, NOW if resolved else None)


def test_defaults_are_two_weeks_and_a_month_for_what_is_unresolved() -> None:
    assert Settings(database_url="sqlite+aiosqlite:///unused.db").retention == USUAL


@pytest.mark.parametrize(
    ("kind", "given", "passed"),
    [
        (Kind.EXECUTIONS, end(Status.SUCCEEDED, 15), True),
        (Kind.EXECUTIONS, end(Status.SUCCEEDED, 13), False),
        (Kind.EXECUTIONS, end(Status.RETRYING, None), False),
        (Kind.EXECUTIONS, end(Status.FAILED, 15), False),
        (Kind.EXECUTIONS, end(Status.FAILED, 31), True),
        (Kind.EXECUTIONS, end(Status.FAILED, 15, resolved=True), True),
    ],
)
def test_what_is_over(kind: Kind, given: End, passed: bool) -> None:
    assert USUAL.cutoffs(kind, NOW).passed(given) is passed


@pytest.mark.parametrize(
    ("kind", "usual", "unresolved"),
    [
        (Kind.EXECUTIONS, 10, 10),  # what is unresolved is never kept for less
        (Kind.PAYLOADS, 3, 5),
        (Kind.STEP_OUTPUTS, 10, 10),  # with the execution at the latest
        (Kind.LOGS, 20, 20),  # some belong to no execution
    ],
)
def test_each_kind_has_its_time(kind: Kind, usual: int, unresolved: int) -> None:
    kept = [SHORT.kept(kind, unresolved=each) for each in (False, True)]
    assert kept == [usual * DAY, unresolved * DAY]


def test_what_goes_with_the_execution_needs_no_look_of_its_own() -> None:
    assert [kind for kind in Kind if USUAL.goes_first(kind)] == [Kind.EXECUTIONS, Kind.LOGS]
    assert [kind for kind in Kind if SHORT.goes_first(kind)] == [Kind.EXECUTIONS, Kind.PAYLOADS, Kind.LOGS]


def test_what_is_shared_lives_as_long_as_the_longest() -> None:
    done, failed = end(Status.SUCCEEDED, 10), end(Status.FAILED, 12)
    assert USUAL.expires_at(Kind.PAYLOADS, [done]) == NOW + 4 * DAY
    assert USUAL.expires_at(Kind.PAYLOADS, [done, failed]) == NOW + 18 * DAY
    assert USUAL.expires_at(Kind.PAYLOADS, [done, end(Status.RUNNING, None)]) is None
    assert USUAL.expires_at(Kind.PAYLOADS, []) is None
