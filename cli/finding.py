"""What one of the doctor's checks has found."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    check: str
    state: State
    detail: str

    def row(self) -> dict[str, str]:
        return {"check": self.check, "state": self.state.value, "detail": self.detail}


def ok(check: str, detail: str) -> Finding:
    return Finding(check, State.OK, detail)


def warning(check: str, detail: str) -> Finding:
    return Finding(check, State.WARNING, detail)


def failed(check: str, detail: str) -> Finding:
    return Finding(check, State.FAILED, detail)


def skipped(check: str, detail: str) -> Finding:
    return Finding(check, State.SKIPPED, detail)
