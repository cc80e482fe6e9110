"""Monitors: what they watch for and where, and which facts of the ledger concern them. Ids are of one noun only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from domain.logs import SEVERITIES, Severity

LINES = "log.written"  # a fact for monitors alone: never an event
EVENT_NOUNS = ("instance", "execution", "integration", "connection", "monitor")
EVERYTHING = "*"
ANYWHERE = ""
EVER = datetime.min.replace(tzinfo=UTC)


class TriggerType(StrEnum):
    EXECUTION_FAILED = "execution_failed"
    EXECUTION_RETRY_PENDING = "execution_failed_retry_pending"
    EXECUTION_SUCCEEDED = "execution_succeeded"
    EXECUTION_STARTED = "execution_started"
    EXECUTION_SLOW = "execution_slow"
    EXECUTION_OVERDUE = "execution_overdue"
    LOG_SEVERITY = "log_severity"
    CONNECTION_ERROR = "connection_error"
    INSTANCE_ENABLED = "instance_enabled"
    INSTANCE_DISABLED = "instance_disabled"
    INSTANCE_REMOVED = "instance_removed"
    QUEUE_BACKLOG = "queue_backlog"
    BOOKS_UNBALANCED = "books_unbalanced"


LIMITS: Mapping[TriggerType, str] = {
    TriggerType.EXECUTION_SLOW: "seconds",
    TriggerType.EXECUTION_OVERDUE: "minutes",
    TriggerType.LOG_SEVERITY: "severity",
    TriggerType.QUEUE_BACKLOG: "waiting",
}
ENDS = ("execution.succeeded", "execution.failed", "execution.canceled")
# By which facts each fires. Overdue, backlog and books are looked for; so is slow, while the execution still runs.
FIRED_BY: Mapping[TriggerType, Sequence[str]] = {
    TriggerType.EXECUTION_FAILED: ("execution.failed",),
    TriggerType.EXECUTION_RETRY_PENDING: ("execution.retry_pending",),
    TriggerType.EXECUTION_SUCCEEDED: ("execution.succeeded",),
    TriggerType.EXECUTION_STARTED: ("execution.started",),
    TriggerType.EXECUTION_SLOW: ENDS,
    TriggerType.EXECUTION_OVERDUE: (),
    TriggerType.LOG_SEVERITY: (LINES,),
    TriggerType.CONNECTION_ERROR: ("connection.error", "connection.needs_reauth"),
    TriggerType.INSTANCE_ENABLED: ("instance.unpaused", "instance.resumed"),
    TriggerType.INSTANCE_DISABLED: ("instance.paused", "instance.suspended"),
    TriggerType.INSTANCE_REMOVED: ("instance.deleted",),
    TriggerType.QUEUE_BACKLOG: (),
    TriggerType.BOOKS_UNBALANCED: (),
}
LOOKED_FOR = (
    TriggerType.EXECUTION_SLOW,
    TriggerType.EXECUTION_OVERDUE,
    TriggerType.QUEUE_BACKLOG,
    TriggerType.BOOKS_UNBALANCED,
)
# Of an instance as a whole, also where the monitor is of one of its flows.
OF_INSTANCE = frozenset(
    {
        TriggerType.CONNECTION_ERROR,
        TriggerType.INSTANCE_ENABLED,
        TriggerType.INSTANCE_DISABLED,
        TriggerType.INSTANCE_REMOVED,
    }
)


@dataclass(frozen=True)
class Trigger:
    type: TriggerType
    seconds: float | None = None
    minutes: float | None = None
    severity: Severity | None = None
    waiting: int | None = None

    def shown(self) -> dict[str, Any]:
        """As JSON, without what it has no use for."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in given.items() if value is not None} | {"type": self.type.value}


def read_trigger(shown: Mapping[str, Any]) -> Trigger:
    return Trigger(**{**shown, "type": TriggerType(shown["type"])})


@dataclass(frozen=True)
class Place:
    """Where something happens, or, of a monitor, where it watches: None is anywhere."""

    customer_id: str | None = None
    integration_id: str | None = None
    instance_id: str | None = None
    flow_id: str | None = None


@dataclass(frozen=True)
class Watch:
    """One trigger of a monitor. A monitor of a flow names the flow's instance, too."""

    monitor_id: str
    trigger: Trigger
    at: Place
    since: datetime = EVER  # nothing before then concerns it

    @property
    def narrowest(self) -> str:
        """The id that things must be of to concern it."""
        flow_id = None if self.trigger.type in OF_INSTANCE else self.at.flow_id
        return flow_id or self.at.instance_id or self.at.integration_id or self.at.customer_id or ANYWHERE

    def fires(self, kind: str, details: Mapping[str, Any]) -> bool:
        """By a fact that happens where it watches."""
        trigger = self.trigger
        if kind not in FIRED_BY[trigger.type]:
            return False
        if trigger.type == TriggerType.EXECUTION_SLOW:
            return float(details.get("duration_seconds") or 0.0) >= (trigger.seconds or 0.0)
        if trigger.type == TriggerType.LOG_SEVERITY:
            return SEVERITIES.index(details["severity"]) >= SEVERITIES.index(trigger.severity or "trace")
        return True


class Watches:
    """Watches by where they watch: what happens somewhere is compared with a few of them only."""

    def __init__(self, watches: Iterable[Watch]) -> None:
        self.by_id: dict[str, list[Watch]] = {}
        for watch in watches:
            self.by_id.setdefault(watch.narrowest, []).append(watch)

    def at(self, place: Place) -> list[Watch]:
        ids = (ANYWHERE, place.customer_id, place.integration_id, place.instance_id, place.flow_id)
        return [watch for each in dict.fromkeys(ids) if each is not None for watch in self.by_id.get(each, ())]


class Listeners:
    """Whether anybody wants to hear of something. A few facts too many do no harm: they are looked at again later."""

    def __init__(self, watches: Iterable[Watch] = (), patterns: Iterable[str] = ()) -> None:
        self._patterns = frozenset(patterns)
        self._kinds: dict[str, set[str]] = {}
        self._severities: dict[str, int] = {}
        self._anybody: set[str] = set()
        self._of_integrations: set[str] = set()
        for watch in watches:
            self._add(watch)

    def want(self, kind: str, place: Place) -> bool:
        """Of a connection that is no instance's own, and of an integration that is not named, it cannot be sure."""
        if self._patterns and is_event(kind) and matches(kind, self._patterns):
            return True
        if kind not in self._anybody:
            return False
        if kind.startswith("connection.") and place.instance_id is None:
            return True
        if place.integration_id is None and kind in self._of_integrations:
            return True
        return any(kind in self._kinds.get(each, ()) for each in _ids(place))

    def want_lines(self, severity: int, place: Place) -> bool:
        if not self._severities:
            return False
        least = [self._severities[each] for each in _ids(place) if each in self._severities]
        return self.want(LINES, place) and (LINES in self._of_integrations or severity >= min(least))

    def _add(self, watch: Watch) -> None:
        kinds, where = FIRED_BY[watch.trigger.type], watch.narrowest
        self._kinds.setdefault(where, set()).update(kinds)
        self._anybody.update(kinds)
        if watch.at.integration_id and where == watch.at.integration_id:
            self._of_integrations.update(kinds)
        if watch.trigger.severity is not None:
            least = SEVERITIES.index(watch.trigger.severity)
            self._severities[where] = min(least, self._severities.get(where, least))


def is_event(kind: str) -> bool:
    return kind.partition(".")[0] in EVENT_NOUNS


def matches(kind: str, patterns: Iterable[str]) -> bool:
    """`instance.*` is every event of an instance, `*` every one."""
    return bool({EVERYTHING, kind, f"{kind.partition('.')[0]}.*"} & frozenset(patterns))


def _ids(place: Place) -> list[str]:
    found = (place.flow_id, place.instance_id, place.integration_id, place.customer_id)
    return [ANYWHERE, *(each for each in found if each)]
