"""What sweeps and deliveries say across a Temporal boundary. Fields are only added, as in domain/messages.py."""

from dataclasses import dataclass, field


@dataclass
class SweepReport:
    started: int = 0
    checked: int = 0
    mended: int = 0
    failed: int = 0


@dataclass
class RetentionInput:
    kind: str  # domain Kind: the first one that is looked at
    now: str  # RFC 3339
    after: str = ""  # where it goes on within the kind
    removed: dict[str, int] = field(default_factory=dict)  # until now, by kind


@dataclass
class RetentionReport:
    kind: str
    after: str
    removed: dict[str, int]
    done: bool = False


@dataclass
class UsageReport:
    hours: int = 0  # counted anew
    settled: int = 0  # of them, for good
    checked: int = 0  # whether their books balance
    imbalance: int = 0  # of all hours that are known


@dataclass
class ReconcileReport:
    looked_at: int = 0  # workflows
    differences: dict[str, int] = field(default_factory=dict)  # by kind
    failed: int = 0  # that could not be mended now


@dataclass
class WatchInput:
    look: bool = True  # for what is slow, overdue or piling up; else only what was announced is told


@dataclass
class WatchReport:
    told: int = 0  # facts
    found: int = 0  # by looking
    started: int = 0  # messages on their way
    failed: int = 0


@dataclass
class DeliverInput:
    delivery_id: str


@dataclass
class Delivered:
    """`wait_seconds`: until the next attempt; None: there is none."""

    wait_seconds: float | None = None
