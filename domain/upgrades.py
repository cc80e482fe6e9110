"""Bulk upgrades: how far each ring of a roll-out goes, and when too much fails to go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil


class ItemStatus(StrEnum):
    """What became of one instance."""

    PENDING = "pending"
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    ROLLED_BACK = "rolled_back"


class SkipReason(StrEnum):
    """Why an instance was left as it was."""

    ALREADY_THERE = "already_there"
    DELETING = "deleting"
    SUSPENDED = "suspended"
    ABORTED = "aborted"
    STOPPED = "stopped"
    MOVED_ON = "moved_on"  # not rolled back: somebody has given it yet another version


@dataclass(frozen=True)
class Standing:
    """Where an instance stands when an upgrade comes to it."""

    version_id: str
    deployed_version_id: str | None = None
    deleting: bool = False
    suspended: bool = False

    def deploys(self, redeploy: bool) -> bool:
        """Only what is deployed is deployed again."""
        return redeploy and self.deployed_version_id is not None

    def reason_to_skip(self, version_id: str, redeploy: bool) -> SkipReason | None:
        if self.deleting:
            return SkipReason.DELETING
        if self.suspended:
            return SkipReason.SUSPENDED
        stale = self.deploys(redeploy) and self.deployed_version_id != version_id
        return None if self.version_id != version_id or stale else SkipReason.ALREADY_THERE


class Wish(StrEnum):
    """What people want of an upgrade. The ledger keeps it; the workflow asks."""

    RUN = "run"
    PAUSE = "pause"
    ABORT = "abort"


@dataclass(frozen=True)
class Ring:
    """How far the roll-out goes before it is watched: so many instances, or a share of all."""

    count: int | None = None
    percent: float | None = None

    def reaches(self, total: int) -> int:
        return self.count or 0 if self.percent is None else ceil(total * self.percent / 100)


def ring_ends(rings: Sequence[Ring], total: int) -> list[int]:
    """The position, from 1, of the last instance of each ring. A ring that adds none is left out; the last has all."""
    ends: list[int] = []
    for ring in (*rings, Ring(percent=100)):
        end = min(ring.reaches(total), total)
        if end > (ends[-1] if ends else 0):
            ends.append(end)
    return ends


@dataclass(frozen=True)
class FailureRate:
    """Of executions that have ended, tests left out."""

    ended: int = 0
    failed: int = 0

    @property
    def percent(self) -> float:
        return round(100 * self.failed / self.ended, 1) if self.ended else 0.0

    def exceeds(self, limit_percent: float | None, at_least: int) -> bool:
        """With fewer ended than `at_least`, chance decides and nothing is stopped."""
        if limit_percent is None or self.ended < at_least:
            return False
        return 100 * self.failed > limit_percent * self.ended
