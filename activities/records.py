"""Writing what happened: records of steps and lines of the customer-facing log."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from domain.logs import SEVERITIES, Severity
from domain.messages import Failure, StepRecord
from domain.text import clean_text, truncate
from runtime.clock import utcnow
from runtime.crypto import Keyring
from runtime.ids import new_id
from store.executions import Moved
from store.steps import Record, Steps
from store.tables import ExecutionRow

LONGEST_LINE = 64 * 1024
MOST_LINES = 1_000  # of one step


@dataclass
class Log:
    """Collects a step's lines; they are written with its record."""

    lines: list[tuple[datetime, Severity, str]] = field(default_factory=list)

    def __call__(self, level: Severity, message: str) -> None:
        if len(self.lines) < MOST_LINES:
            self.lines.append((utcnow(), level, truncate(clean_text(message), LONGEST_LINE)))


class Owner(NamedTuple):
    """Whose lines and state: ids only."""

    execution_id: str
    instance_flow_id: str
    instance_id: str
    customer_id: str


def owner_of(row: ExecutionRow | Moved) -> Owner:
    return Owner(row.id, row.instance_flow_id, row.instance_id, row.customer_id)


def log_lines(owner: Owner, attempt: int, step: str | None, log: Log) -> list[dict[str, Any]]:
    """As `store/logs.py` takes them."""
    return [
        {
            "id": new_id("log"),
            "timestamp": at,
            "severity": SEVERITIES.index(level),
            "message": message,
            "type": "execution",
            "step": step,
            "attempt": attempt,
            **owner._asdict(),
        }
        for at, level, message in log.lines
    ]


def value_context(execution_id: str, attempt: int, path: str, column: str) -> str:
    """The associated data of a step's encrypted value."""
    return f"steps/{execution_id}/{attempt}/{path}/{column}"


def sealed(keyring: Keyring, execution_id: str, attempt: int, path: str, column: str, value: Any) -> bytes | None:
    if value is None:
        return None
    return keyring.encrypt_json(value, value_context(execution_id, attempt, path, column))


def error_json(failure: Failure | None) -> dict[str, Any] | None:
    return None if failure is None else asdict(failure)


async def write_control_records(
    steps: Steps, keyring: Keyring, execution_id: str, attempt: int, records: Sequence[StepRecord]
) -> None:
    if records:
        await steps.record(list(_control_rows(keyring, execution_id, attempt, records)))


def _control_rows(keyring: Keyring, execution_id: str, attempt: int, records: Sequence[StepRecord]) -> Iterable[Record]:
    for record in records:
        component, _, action = record.kind.partition(".")
        yield Record(
            execution_id=execution_id,
            attempt=attempt,
            path=record.path,
            key=record.key,
            name=record.name,
            component=component if action else "flow",
            action=action or component,
            position=record.position,
            iteration=record.iteration,
            status=record.status,
            tries=1,
            output_size=0,
            started_at=datetime.fromisoformat(record.started_at),
            ended_at=datetime.fromisoformat(record.ended_at) if record.ended_at else None,
            inputs=sealed(keyring, execution_id, attempt, record.path, "inputs", record.inputs),
            output=sealed(keyring, execution_id, attempt, record.path, "output", record.output),
            branch=record.branch,
            error=error_json(record.error),
        )
