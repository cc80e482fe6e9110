"""Executions: their statuses, how a failure is classified, and when the next attempt is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from domain.definitions.model import Retry
from domain.durations import parse_duration

MIN_DELAY = timedelta(seconds=1)  # Temporal spaces the runs of one workflow id by a second.
MAX_DELAY = timedelta(hours=24)
MOST_RETRIES = 10
LATEST = timedelta(days=30)  # from now, to which people may put off the next attempt
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"


WAITING_CONNECTION = "waiting_connection"  # the reason of one that runs on once its connection works again

TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.SKIPPED})
OPEN = frozenset(Status) - TERMINAL


class TriggerKind(StrEnum):
    WEBHOOK = "webhook"
    SCHEDULE = "schedule"
    DEPLOY = "deploy"
    REMOVE = "remove"
    FLOW = "flow"
    POLL = "poll"


class StepStatus(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class RetryRule:
    """A flow's retry, resolved: durations in seconds so that it crosses Temporal as plain numbers."""

    max_attempts: int = 1
    delay_seconds: float = 60.0
    exponential: bool = False
    max_delay_seconds: float = MAX_DELAY.total_seconds()
    transient_only: bool = False
    edition: int = 0  # how often people have changed it for an execution that waited

    def delay(self, attempt: int, retry_after: float | None = None) -> timedelta:
        """The pause after a failed `attempt` (from 1). A target's Retry-After lengthens it, never past 24 h."""
        factor = 2 ** min(attempt - 1, 20) if self.exponential else 1
        seconds = min(self.delay_seconds * factor, self.max_delay_seconds)
        wanted = timedelta(seconds=max(seconds, retry_after or 0.0))
        return min(max(wanted, MIN_DELAY), MAX_DELAY)

    def repeats(self, attempt: int, *, transient: bool, permanent: bool) -> bool:
        """Whether another attempt follows the one that has failed so."""
        wanted = transient or not self.transient_only
        return wanted and not permanent and attempt < self.max_attempts

    def changed(self, attempt: int, retries_left: int | None) -> "RetryRule":
        """For one that has made so many attempts. `retries_left` follow the next attempt, 0 makes it the last."""
        most = self.max_attempts if retries_left is None else attempt + 1 + retries_left
        return replace(self, max_attempts=most, edition=self.edition + 1)


def edition_of(retry: Mapping[str, Any]) -> int:
    """Of a rule as the ledger holds it."""
    return int(retry.get("edition", 0))


def retry_rule(retry: Retry | None) -> RetryRule:
    if retry is None or retry.retries == 0:
        return RetryRule()
    return RetryRule(
        max_attempts=retry.retries + 1,
        delay_seconds=parse_duration(retry.delay).total_seconds(),
        exponential=retry.backoff == "exponential",
        max_delay_seconds=parse_duration(retry.max_delay).total_seconds(),
        transient_only=retry.on == "transient",
    )


def scheduled_execution_id(schedule_id: str, nominal: datetime) -> str:
    """The id of a schedule's execution: sortable by its nominal time, the same however often Temporal starts it."""
    millis = int(nominal.timestamp() * 1000)
    digest = int.from_bytes(sha256(f"{schedule_id}@{millis}".encode()).digest()[:10])
    return f"exec_{crockford(millis, 10)}{crockford(digest, 16)}"


def crockford(number: int, length: int) -> str:
    digits = [CROCKFORD[(number >> shift) & 31] for shift in range(5 * (length - 1), -1, -5)]
    return "".join(digits)


def step_path(parent: str, key: str) -> str:
    return f"{parent}.{key}" if parent else key


def idempotency_key(execution_id: str, path: str) -> str:
    """What outgoing calls of a step carry: the same on every attempt, new on a replay."""
    return f"{execution_id}:{path}"
