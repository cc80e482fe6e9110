"""How long what has happened is kept. What has not ended is kept, however old it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.executions import Status


class Kind(StrEnum):
    """What is removed, in this order."""

    EXECUTIONS = "executions"  # with everything that belongs to them
    PAYLOADS = "payloads"
    STEP_OUTPUTS = "step_outputs"  # and inputs; the records of the steps stay
    LOGS = "logs"


@dataclass(frozen=True)
class End:
    """How an execution has ended, if it has."""

    status: str
    ended_at: datetime | None
    resolved_at: datetime | None

    @property
    def unresolved(self) -> bool:
        """It has failed, and nothing has made up for it."""
        return self.status == Status.FAILED and self.resolved_at is None


@dataclass(frozen=True)
class Cutoffs:
    """What ended before is kept no longer."""

    usual: datetime
    unresolved: datetime

    def passed(self, end: End) -> bool:
        return end.ended_at is not None and end.ended_at < (self.unresolved if end.unresolved else self.usual)


@dataclass(frozen=True)
class Retention:
    """Counted from an execution's end; for log lines, from when they were written."""

    executions: timedelta
    payloads: timedelta
    step_outputs: timedelta
    logs: timedelta
    unresolved: timedelta  # whatever the kind, where this is longer

    def kept(self, kind: Kind, *, unresolved: bool) -> timedelta:
        usual = self._usual(kind)
        return max(usual, self.unresolved) if unresolved else usual

    def cutoffs(self, kind: Kind, now: datetime) -> Cutoffs:
        return Cutoffs(now - self.kept(kind, unresolved=False), now - self.kept(kind, unresolved=True))

    def goes_first(self, kind: Kind) -> bool:
        """Whether anything of it is left to remove once the executions are."""
        return kind in (Kind.EXECUTIONS, Kind.LOGS) or self._usual(kind) < self.executions

    def expires_at(self, kind: Kind, ends: Iterable[End]) -> datetime | None:
        """Of what belongs to all of these: it lives as long as the longest. None: one of them has not ended."""
        latest = None
        for end in ends:
            if end.ended_at is None:
                return None
            at = end.ended_at + self.kept(kind, unresolved=end.unresolved)
            latest = at if latest is None else max(latest, at)
        return latest

    def _usual(self, kind: Kind) -> timedelta:
        """What belongs to an execution goes with it at the latest; some log lines belong to none."""
        own: timedelta = getattr(self, kind)
        return own if kind == Kind.LOGS else min(own, self.executions)
