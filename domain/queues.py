"""Queues of flows: what may begin next. Pure: the ledger says what waits and what runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from domain.definitions.model import Concurrency
from domain.durations import parse_duration
from domain.executions import TriggerKind

QUEUED_BEHIND = "queued_behind"
BEHIND_PARKED = "behind_parked"
CUSTOMER_LIMIT = "customer_limit"
PARKED_FOR = "24h"
QUEUE_FULL = "queue_full"
MOST_RUNNING = 1000  # of a customer
WIDEST = 100  # at once, of a flow that keeps order per key and names no limit


class Waiting(NamedTuple):
    """One that waits, in the order of acceptance. `key`: what it keeps order with; empty without a key."""

    id: str
    key: str


@dataclass(frozen=True)
class QueueRule:
    """`limit` none: the deployed version has no queue any more, what still waits goes out."""

    limit: int | None = None
    per_key: bool = False
    hold: bool = False  # what waits for its retry keeps its slot
    max_length: int | None = None
    drop_oldest: bool = False
    park_seconds: float | None = None  # how long one that has failed for good keeps its place; none: it does not

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> Self:
        """From a flow's row: `settings_of` as it was deployed."""
        return cls(**settings["rule"]) if settings else cls()


def settings_of(concurrency: Concurrency | None) -> dict[str, Any] | None:
    """What a flow's row keeps of it; None: a parallel flow."""
    if concurrency is None or concurrency.mode == "parallel":
        return None
    per_key = concurrency.key is not None
    sequential = WIDEST if per_key else 1
    rule = {
        "limit": sequential if concurrency.mode == "sequential" else concurrency.limit,
        "per_key": per_key,
        "hold": concurrency.on_failure == "hold",
        "max_length": concurrency.max_length,
        "drop_oldest": concurrency.when_full == "drop_oldest",
        "park_seconds": _park_seconds(concurrency),
    }
    return {"mode": concurrency.mode, "rule": rule}


def _park_seconds(concurrency: Concurrency) -> float | None:
    if concurrency.when_failed != "park":
        return None
    return parse_duration(concurrency.park_for or PARKED_FOR).total_seconds()


def waits_for(rule: QueueRule, max_running: int | None, trigger: str, *, awaited: bool) -> str | None:
    """Why an execution may have to wait for a slot: its flow's queue, or how many of its customer's may run. None: it
    begins at once. One that its caller waits for runs in the caller's slot; deploys and removals wait for nobody."""
    if rule.limit is not None:
        return QUEUED_BEHIND
    exempt = awaited or trigger in (TriggerKind.DEPLOY, TriggerKind.REMOVE)
    return None if max_running is None or exempt else CUSTOMER_LIMIT


def next_to_begin(
    rule: QueueRule, waiting: Sequence[Waiting], running_keys: Sequence[str], most: int = WIDEST
) -> list[str]:
    """Ids of those that begin now: in order, never more than the limit at once, one at a time per key."""
    free = most if rule.limit is None else min(rule.limit - len(running_keys), most)
    busy = set(running_keys)
    chosen: list[str] = []
    for each in waiting:
        if len(chosen) >= free:
            break
        if rule.per_key and each.key in busy:
            continue
        busy.add(each.key)
        chosen.append(each.id)
    return chosen
