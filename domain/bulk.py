"""What bulk upgrades and replays say across a Temporal boundary. Fields are only added, as in domain/messages.py."""

from dataclasses import dataclass, field

from domain.messages import DeployInput, Failure


@dataclass
class UpgradeInput:
    job_id: str
    position: int = 0  # up to here an earlier run of the workflow has come


@dataclass
class UpgradePlan:
    """`ring_ends`: the position of each ring's last item. `stopped`: it is being rolled back, and why."""

    proceed: bool
    ring_ends: list[int] = field(default_factory=list)
    rings_passed: int = 0
    rate_per_second: float | None = None
    stop_at_failure_percent: float | None = None
    min_executions: int = 1
    watch_seconds: float = 0.0
    stopped: Failure | None = None


@dataclass
class UpgradeItem:
    job_id: str
    position: int


@dataclass
class UpgradeRing:
    job_id: str
    ring: int


@dataclass
class ItemClaim:
    """`verdict`: `settled`, nothing is left to do; `wait`, people want no more of it for now; `deploy`, as follows."""

    verdict: str
    deploy: DeployInput | None = None


@dataclass
class ItemOutcome:
    item: UpgradeItem
    failure: Failure | None = None


@dataclass
class UpgradeSight:
    """What people want now, and how the executions of the `running` instances upgraded so far have ended."""

    wish: str
    running: int = 0
    ended: int = 0
    failed: int = 0


@dataclass
class UpgradeStop:
    job_id: str
    failure: Failure


@dataclass
class ReplayInput:
    job_id: str
    position: int = 0  # up to here an earlier run of the workflow has come


@dataclass
class ReplayPlan:
    proceed: bool
    rate_per_second: float = 1.0


@dataclass
class ReplayTurn:
    job_id: str
    position: int


@dataclass
class ReplayProgress:
    """`position`: up to here nothing is pending. `all_begun`: nothing is, anywhere; `over`: the replays have ended,
    too. `stopped`: too many of them have failed."""

    position: int
    wish: str
    all_begun: bool = False
    over: bool = False
    stopped: Failure | None = None
