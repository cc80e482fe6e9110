"""Every timeout and retry policy, named."""

from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy

from domain.messages import RunStepInput

# Ledger work inside a workflow task: a database that is away is waited for, a rejection ends it at once.
LEDGER: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=10)
    ),
}

# Administration that talks to Temporal or walks many rows: deploy, delete, upkeep.
CHORE: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
}

# One look of upkeep; the schedule comes again, so it is not repeated for long.
SWEEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=1),
    "retry_policy": RetryPolicy(maximum_attempts=2),
}

# A step that touches the world. The server learns of a lost worker from missing heartbeats.
HEARTBEAT_TIMEOUT = timedelta(seconds=6)
RECORDING_GRACE = timedelta(seconds=90)  # the effect has happened: time to write its record while the database is away
LOST_WORKERS = 20  # how many lost workers one step survives, besides its own tries

MOST_UNSENT = 30  # local results of up to 64 KiB each in one message to the server, which takes 4 MiB
MAX_EVENTS = 40_000  # Temporal ends a history at 51,200
DEFAULT_STEP_TIMEOUT = "5m"


def outside_step(step: RunStepInput) -> dict[str, Any]:
    """The activity itself counts the step's tries and says how long to wait; this policy covers lost workers."""
    return {
        "start_to_close_timeout": timedelta(seconds=step.timeout_seconds) + RECORDING_GRACE,
        "heartbeat_timeout": HEARTBEAT_TIMEOUT,
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),
            backoff_coefficient=1.0,
            maximum_interval=timedelta(hours=24),
            maximum_attempts=step.tries + LOST_WORKERS,
        ),
    }


def local_try(step: RunStepInput) -> dict[str, Any]:
    """One try of an outside step inside the workflow task, kept alive as long as the step may take."""
    return {
        "start_to_close_timeout": timedelta(seconds=step.timeout_seconds) + RECORDING_GRACE,
        "retry_policy": RetryPolicy(maximum_attempts=1),
    }


def local_step(step: RunStepInput) -> dict[str, Any]:
    return LEDGER | {"start_to_close_timeout": timedelta(seconds=min(step.timeout_seconds, 30.0))}
