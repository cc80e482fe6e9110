"""Between Temporal's failures and ours, both ways. Retryability is judged by the outermost failure only, so an
execution's failure always leaves the workflow as one top-level ApplicationError."""

import sys
from datetime import timedelta

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError
from temporalio.exceptions import TimeoutError as TemporalTimeout

from domain.errors import StepFailed
from domain.messages import Failure
from domain.values import EvaluationTooLarge


class AttemptFailed(Exception):
    """Ends the attempt; carries what is told to people and to the retry rules."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def recorded(error: BaseException) -> Failure | None:
    """The failure as the step's activity has written it; None when nobody knows what it has done."""
    cause = _cause(error)
    return Failure(**cause.details[0]) if isinstance(cause, ApplicationError) and cause.details else None


def of_activity(error: BaseException, path: str | None) -> Failure:
    told, cause = recorded(error), _cause(error)
    if told is not None:
        return told
    if isinstance(cause, TemporalTimeout):
        message = "The step's worker was lost too often, or could not write its record in time"
        return Failure("worker_lost", message, path, transient=True)
    return Failure("internal_error", str(cause), path)


def of_child(error: ChildWorkflowError) -> Failure:
    """As the child's workflow has passed it on; one that was canceled or terminated has nothing to say."""
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.details:
        return Failure(**cause.details[0])
    return Failure("interrupted", str(cause or error))


def of_evaluation(error: StepFailed | EvaluationTooLarge, path: str) -> Failure:
    """A template or a condition that could not be evaluated."""
    if isinstance(error, StepFailed):
        return Failure(error.code, error.message, path, error.transient, error.permanent)
    return Failure("value_too_large", str(error), path)


def flow_timeout(timeout: str) -> Failure:
    return Failure("flow_timeout", f"The attempt took longer than the flow's timeout of {timeout}", transient=True)


def too_many_steps(path: str) -> Failure:
    message = "The execution has more steps than one history can hold"
    return Failure("too_many_steps", message, path, permanent=True)


def final(failure: Failure) -> ApplicationError:
    return ApplicationError(failure.message, type=failure.code, non_retryable=True)


def again(failure: Failure, delay: timedelta) -> ApplicationError:
    return ApplicationError(failure.message, type=failure.code, next_retry_delay=delay)


def passed_on(error: ActivityError | ApplicationError) -> ApplicationError:
    """The same failure at the workflow's edge, with its details, for a client that waits for the result."""
    cause = _cause(error)
    if isinstance(cause, ApplicationError):
        return ApplicationError(cause.message, *cause.details, type=cause.type, non_retryable=True)
    return ApplicationError(str(cause), type="internal_error", non_retryable=True)


def is_forgotten() -> bool:
    """In a `finally`: whether the worker has put the workflow out of memory, where no clock runs but another one's."""
    return isinstance(sys.exception(), GeneratorExit)


def _cause(error: BaseException) -> BaseException:
    """A regular activity's error arrives wrapped, a local one's bare."""
    return (error.cause or error) if isinstance(error, ActivityError) else error
