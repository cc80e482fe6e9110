from datetime import timedelta

import pytest
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeout

from activities import errors
from domain.errors import StepFailed
from domain.messages import Failure
from domain.values import EvaluationTooLarge
from workflows import failures

TOLD = Failure("http_status", "answered 500", "get", transient=True, retry_after=3.0, details={"status": 500})


def wrapped(cause: BaseException) -> ActivityError:
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="tests",
        activity_type="http.get",
        activity_id="1",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("raised", [errors.final(TOLD), errors.again(TOLD, timedelta(seconds=1))])
def test_failure_survives_the_boundary_wrapped_and_bare(raised: ApplicationError) -> None:
    assert failures.of_activity(raised, "get") == TOLD
    assert failures.of_activity(wrapped(raised), "get") == TOLD
    assert failures.recorded(wrapped(raised)) == TOLD


def test_lost_worker_is_transient_and_unrecorded() -> None:
    timeout = TemporalTimeout("heartbeat", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[])
    failure = failures.of_activity(wrapped(timeout), "get")
    assert (failure.code, failure.step, failure.transient) == ("worker_lost", "get", True)
    assert failures.recorded(wrapped(timeout)) is None


def test_failure_without_details_is_internal_and_unrecorded() -> None:
    error = wrapped(ApplicationError("division by zero", type="ZeroDivisionError"))
    failure = failures.of_activity(error, "get")
    assert (failure.code, failure.transient, failure.permanent) == ("internal_error", False, False)
    assert "division by zero" in failure.message
    assert failures.recorded(error) is None


def test_evaluation_errors() -> None:
    asked = StepFailed("cannot compare", code="condition_error", permanent=True)
    assert failures.of_evaluation(asked, "size") == Failure("condition_error", "cannot compare", "size", permanent=True)
    assert failures.of_evaluation(EvaluationTooLarge("too large"), "size").code == "value_too_large"


def test_what_ends_the_workflow() -> None:
    last, next_one = failures.final(TOLD), failures.again(TOLD, timedelta(seconds=9))
    assert (last.non_retryable, last.type) == (True, "http_status")
    assert (next_one.non_retryable, next_one.next_retry_delay) == (False, timedelta(seconds=9))


def test_passed_on_failure_is_final_and_keeps_its_details() -> None:
    passed = failures.passed_on(wrapped(ApplicationError("no", {"a": 1}, type="config_invalid")))
    assert (passed.message, passed.type, passed.details) == ("no", "config_invalid", ({"a": 1},))
    assert passed.non_retryable
    assert failures.passed_on(wrapped(ValueError("odd"))).type == "internal_error"
