from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.definitions.model import Retry
from domain.executions import (
    OPEN,
    TERMINAL,
    RetryRule,
    Status,
    crockford,
    idempotency_key,
    retry_rule,
    scheduled_execution_id,
    step_path,
)

NOMINAL = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DAY = 24 * 3600


def test_every_status_is_open_or_terminal() -> None:
    assert set(Status) == OPEN | TERMINAL
    assert not OPEN & TERMINAL
    assert {Status.QUEUED, Status.RUNNING, Status.RETRYING} == OPEN


@pytest.mark.parametrize(
    ("rule", "attempt", "retry_after", "seconds"),
    [
        (RetryRule(delay_seconds=5), 1, None, 5),
        (RetryRule(delay_seconds=5), 4, None, 5),
        (RetryRule(delay_seconds=5, exponential=True), 1, None, 5),
        (RetryRule(delay_seconds=5, exponential=True), 3, None, 20),
        (RetryRule(delay_seconds=5, exponential=True, max_delay_seconds=12), 3, None, 12),
        (RetryRule(delay_seconds=0.2), 1, None, 1),
        (RetryRule(delay_seconds=5), 1, 30.0, 30),
        (RetryRule(delay_seconds=5), 1, 3.0, 5),
        (RetryRule(delay_seconds=5, max_delay_seconds=12), 1, 30.0, 30),
        (RetryRule(delay_seconds=5), 1, 1e9, DAY),
        (RetryRule(delay_seconds=DAY, exponential=True), 9, None, DAY),
    ],
)
def test_delay(rule: RetryRule, attempt: int, retry_after: float | None, seconds: float) -> None:
    assert rule.delay(attempt, retry_after) == timedelta(seconds=seconds)


@given(
    delay=st.floats(0, 1e7),
    exponential=st.booleans(),
    attempt=st.integers(1, 1000),
    retry_after=st.none() | st.floats(0, 1e12),
)
def test_delay_is_between_a_second_and_a_day(
    delay: float, exponential: bool, attempt: int, retry_after: float | None
) -> None:
    found = RetryRule(delay_seconds=delay, exponential=exponential).delay(attempt, retry_after)
    assert timedelta(seconds=1) <= found <= timedelta(days=1)


def test_no_retry_is_one_attempt() -> None:
    assert retry_rule(None).max_attempts == 1
    assert retry_rule(Retry(retries=0, delay="1s")).max_attempts == 1


def test_retry_of_a_definition() -> None:
    retry = Retry(retries=3, delay="500ms", backoff="exponential", max_delay="2h", on="transient")
    assert retry_rule(retry) == RetryRule(4, 0.5, True, 7200.0, True)


def test_scheduled_execution_id_is_the_same_each_time() -> None:
    first = scheduled_execution_id("schedule-flow_1", NOMINAL)
    assert first == scheduled_execution_id("schedule-flow_1", NOMINAL)
    assert len(first) == len("exec_") + 26
    assert first != scheduled_execution_id("schedule-flow_2", NOMINAL)
    assert first != scheduled_execution_id("schedule-flow_1", NOMINAL + timedelta(seconds=1))


def test_scheduled_execution_ids_sort_by_their_nominal_time() -> None:
    times = [NOMINAL + timedelta(milliseconds=step) for step in (0, 1, 40, 70_000, 10**9)]
    ids = [scheduled_execution_id("schedule-flow_1", time) for time in times]
    assert sorted(ids) == ids


def test_scheduled_execution_id_knows_no_time_zone() -> None:
    there = NOMINAL.astimezone(tz=None)
    assert scheduled_execution_id("s", there) == scheduled_execution_id("s", NOMINAL)


def test_crockford_digits() -> None:
    assert crockford(0, 3) == "000"
    assert crockford(31, 2) == "0z"
    assert crockford(32, 2) == "10"
    assert crockford(1 << 70, 2) == "00"


def test_step_path_and_idempotency_key() -> None:
    assert step_path("", "order") == "order"
    assert step_path("lines[2]", "ship") == "lines[2].ship"
    assert idempotency_key("exec_1", "lines[2].ship") == "exec_1:lines[2].ship"
