"""What has happened, in words: the message of an alert, the variables of its templates, the data of an event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.instants import utc_text
from domain.monitors import Place, Trigger, TriggerType

Names = dict[str, dict[str, Any]]

NOUNS = ("customer", "integration", "instance", "flow")
LONGEST_MESSAGE = 2000
SUBJECT = "Flowgraft alert"
TRIGGERED = "monitor.triggered"


@dataclass(frozen=True)
class Happening:
    """`details` are what its kind tells: `error`, `step`, `severity`, `message`, `attempt` … `elsewhere` is the same,
    where it matters too: a reusable connection matters to every instance that uses it."""

    kind: str
    at: datetime
    place: Place
    names: Names = field(default_factory=dict)
    execution_id: str | None = None
    object_id: str | None = None
    principal: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: Sequence["Happening"] = ()

    @property
    def error(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.details.get("error")
        return found

    @property
    def step(self) -> str | None:
        return self.details.get("step") or (self.error or {}).get("step")

    def name(self, noun: str, key: str = "name") -> str:
        return str(self.names.get(noun, {}).get(key) or "")


@dataclass(frozen=True)
class Alert:
    """One firing of a monitor."""

    id: str
    monitor_id: str
    monitor_name: str
    trigger: Trigger | None  # None: a test of the monitor
    happening: Happening
    url: str

    @property
    def type(self) -> str:
        return self.trigger.type if self.trigger else "test"

    @property
    def message(self) -> str:
        where = " · ".join(name for noun in NOUNS[2:] if (name := self.happening.name(noun)))
        told = _told(self.trigger, self.happening)
        return (f"{where}: {told}" if where else told)[:LONGEST_MESSAGE]

    @property
    def error(self) -> str:
        error = self.happening.error
        return f"{error['code']}: {error['message']}" if error else str(self.happening.details.get("message") or "")

    def variables(self) -> dict[str, str]:
        """Of payload templates."""
        about = self.happening
        return {
            "SUBJECT": f"{SUBJECT}: {self.monitor_name}",
            "NAME": self.monitor_name,
            "INSTANCE": about.name("instance"),
            "INSTANCE_ID": about.name("instance", "id"),
            "EXECUTION_ID": about.execution_id or "",
            "CUSTOMER": about.name("customer"),
            "CUSTOMER_EXTERNAL_ID": about.name("customer", "external_id"),
            "FLOW": about.name("flow"),
            "TRIGGER": self.type,
            "STEP": about.step or "",
            "URL": self.url,
            "ERROR": self.error,
            "TIME": utc_text(about.at),
        }

    def data(self) -> dict[str, Any]:
        """Of the message that a webhook without a template gets, and of the event."""
        about = self.happening
        return {
            "alert_id": self.id,
            "subject": f"{SUBJECT}: {self.monitor_name}",
            "message": self.message,
            "monitor": {"id": self.monitor_id, "name": self.monitor_name},
            "trigger": self.trigger.shown() if self.trigger else {"type": self.type},
            **{noun: about.names.get(noun) for noun in NOUNS},
            "execution_id": about.execution_id,
            "step": about.step,
            "error": about.error,
            "url": self.url,
        }

    def email(self) -> tuple[str, str]:
        """Subject and text."""
        about = self.happening
        facts = {noun.capitalize(): about.name(noun) for noun in NOUNS}
        facts |= {"Execution": about.execution_id or "", "Step": about.step or "", "Error": self.error}
        facts |= {"Trigger": self.type, "Time": utc_text(about.at), "More": self.url}
        lines = [f"{name + ':':<13}{value}" for name, value in facts.items() if value]
        return f"{SUBJECT}: {self.monitor_name}", "\n".join([self.message, "", *lines, ""])


def event_data(about: Happening) -> dict[str, Any]:
    """What an event's message says: ids and names, and what is known of it."""
    ids = {"object_id": about.object_id, "execution_id": about.execution_id, "principal": about.principal}
    found = {noun: about.names.get(noun) for noun in NOUNS} | ids
    return {name: value for name, value in found.items() if value is not None} | {"details": dict(about.details)}


def _told(trigger: Trigger | None, about: Happening) -> str:
    details = about.details
    match trigger.type if trigger else None:
        case TriggerType.EXECUTION_FAILED | TriggerType.EXECUTION_RETRY_PENDING:
            return _failed(trigger, about)
        case TriggerType.EXECUTION_SUCCEEDED:
            return "an execution has succeeded"
        case TriggerType.EXECUTION_STARTED:
            return "an execution has started"
        case TriggerType.EXECUTION_SLOW if trigger:
            return f"an execution has taken {details.get('duration_seconds', 0):.0f} s, limit {trigger.seconds:g} s"
        case TriggerType.EXECUTION_OVERDUE if trigger:
            return f"no execution for {trigger.minutes:g} minutes"
        case TriggerType.QUEUE_BACKLOG if trigger:
            return f"{details.get('waiting')} executions are waiting, limit {trigger.waiting}"
        case TriggerType.BOOKS_UNBALANCED:
            return f"{details.get('imbalance')} accepted executions are neither ended nor in flight nor held"
        case TriggerType.LOG_SEVERITY:
            return f"{details.get('severity')}: {details.get('message')}"
        case TriggerType.CONNECTION_ERROR:
            name = details.get("name") or details.get("key") or about.object_id
            return f"the connection {name} does not work: {details.get('message') or 'it must be authorised again'}"
        case TriggerType.INSTANCE_ENABLED:
            return "the instance was enabled"
        case TriggerType.INSTANCE_DISABLED:
            return "the instance was disabled"
        case TriggerType.INSTANCE_REMOVED:
            return "the instance is being removed"
    return "This is a test: notifications of this monitor arrive here."


def _failed(trigger: Trigger | None, about: Happening) -> str:
    at_step = f" at step {about.step}" if about.step else ""
    error = about.error or {"code": "failed", "message": "The execution failed"}
    what = f"an execution has failed{at_step}: {error['code']}: {error['message']}"
    if trigger and trigger.type == TriggerType.EXECUTION_FAILED:
        return what
    next_at = about.details.get("next_attempt_at")
    return f"attempt {about.details.get('attempt')} of {what}; the next one is at {next_at}"
