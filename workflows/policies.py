"""Every timeout and retry policy, named."""

from datetime import timedelta
from typing import Any

from temporalio.common import Priority, RetryPolicy

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

# A burst of a drain: short, so that a lost worker is noticed soon.
RELEASE: dict[str, Any] = CHORE | {
    "start_to_close_timeout": timedelta(minutes=2),
    "heartbeat_timeout": timedelta(seconds=6),
}

# How long a deploy's job watches its flows, and how often it looks.
WATCHED = timedelta(hours=1)
FIRST_LOOK, LONGEST_LOOK = timedelta(milliseconds=200), timedelta(seconds=30)

# A batch of a rotation of keys says at every transaction that it lives, so a lost worker is noticed soon.
ROTATION: dict[str, Any] = CHORE | {"heartbeat_timeout": timedelta(seconds=10)}
READERS_GRACE = timedelta(seconds=10)  # whoever has read a value under an old data key has read that key by then

# A bulk upgrade: how many deploys at once, after how many items its history may be left behind, and how long it waits
# while somebody else deploys the same instance.
UPGRADES_AT_ONCE = 8
UPGRADE_SEGMENT = 100
WHILE_DEPLOYING = [timedelta(seconds=seconds) for seconds in (1, 2, 4, 8, 15, *[30] * 20)]

# After how many events a queue's history may be left behind.
QUEUE_SEGMENT = 1_000

# One look of upkeep; the schedule comes again, so it is not repeated for long.
SWEEP: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=1),
    "heartbeat_timeout": timedelta(seconds=10),  # no other sweep begins while that of a lost worker is waited for
    "retry_policy": RetryPolicy(maximum_attempts=2),
}

# The sweep for monitors: ahead of the messages that share its queue.
WATCH: dict[str, Any] = SWEEP | {"priority": Priority(priority_key=1)}

# An attempt to bring a message to its target takes 15 s at most, that to an e-mail server longer. Whether it is tried
# again the ledger says; this policy covers lost workers and a database that is away.
DELIVERY: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=3),
    "heartbeat_timeout": timedelta(seconds=6),
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
}

# A look of a log stream sends for most of a minute. Whether it has failed the ledger says; this policy covers lost
# workers and a database that is away. After so many looks the history is left behind.
LOG_STREAM: dict[str, Any] = DELIVERY
LOG_STREAM_SEGMENT = 200

# A step that touches the world. The server learns of a lost worker from missing heartbeats.
HEARTBEAT_TIMEOUT = timedelta(seconds=6)
RECORDING_GRACE = timedelta(seconds=90)  # the effect has happened: time to write its record while the database is away
LOST_WORKERS = 20  # how many lost workers one step survives, besides its own tries

# For a connection that fails: how long an execution waits, and how often it tries where only a try can tell.
LONGEST_WAIT = timedelta(days=7)
BETWEEN_PROBES = timedelta(minutes=10)
BETWEEN_LOOKS_FOR_CALLBACKS = timedelta(minutes=1)  # a signal tells of it; this is for lost ones
NO_TIME = timedelta(0)

MOST_UNSENT = 30  # local results of up to 64 KiB each in one message to the server, which takes 4 MiB
MAX_EVENTS = 40_000  # Temporal ends a history at 51,200
DEFAULT_STEP_TIMEOUT = "5m"


def between_looks(looks: int) -> timedelta:
    """How long a bulk replay waits before it looks again how the last of its replays fare: longer and longer."""
    return min(FIRST_LOOK * 1.5 ** min(looks, 20), LONGEST_LOOK)


def between_looks_at_called(looks: int) -> timedelta:
    """A called execution tells of its end by a signal; one that could not is found by looking."""
    return min(timedelta(seconds=2) * 1.5 ** min(looks, 20), timedelta(minutes=1))


def look_every(watch_seconds: float) -> timedelta:
    """How often the executions of upgraded instances are counted."""
    return timedelta(seconds=min(max(watch_seconds / 60, 0.5), 60.0))


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
