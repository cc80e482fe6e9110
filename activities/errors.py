"""The one table from our errors to Temporal's. The failure's type is the error's code."""

from dataclasses import asdict
from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.errors import Invalid, Rejected, StepFailed, Unavailable
from domain.messages import Failure
from domain.text import clean_text, truncate

LONGEST_MESSAGE = 4_000  # characters; failures stay far below Temporal's limits


def failure_of(error: Exception, step: str | None) -> Failure:
    """What people are told of an error. An error of ours keeps its words; a bug shows its type and message."""
    match error:
        case StepFailed():
            return Failure(
                code=error.code,
                message=bounded(error.message),
                step=step,
                transient=error.transient,
                permanent=error.permanent,
                retry_after=error.retry_after,
                details=error.details,
            )
        case Unavailable():
            return Failure(error.code, bounded(error.message), step, transient=True, retry_after=error.retry_after)
        case Rejected():
            return Failure(error.code, bounded(error.message), step, permanent=True)
    return Failure("internal_error", bounded(f"{type(error).__name__}: {error}"), step)


def final(failure: Failure) -> ApplicationError:
    return ApplicationError(
        failure.message,
        asdict(failure),
        type=failure.code,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,
    )


def again(failure: Failure, delay: timedelta) -> ApplicationError:
    return ApplicationError(
        failure.message,
        asdict(failure),
        type=failure.code,
        next_retry_delay=delay,
        category=ApplicationErrorCategory.BENIGN,
    )


def translate(error: Exception) -> ApplicationError:
    """For activities that are not steps: what is unavailable is tried again, what no repeat can mend is not."""
    failure = failure_of(error, None)
    if isinstance(error, Invalid):
        failure.details = {"problems": [asdict(problem) for problem in error.problems]}
    if failure.permanent:
        return final(failure)
    return ApplicationError(failure.message, asdict(failure), type=failure.code)


def bounded(text: str) -> str:
    return truncate(clean_text(text), LONGEST_MESSAGE)
