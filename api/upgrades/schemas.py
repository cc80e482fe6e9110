"""What bulk upgrades look like on the wire."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.jobs.schemas import JobRead
from api.problems import ProblemItem
from api.shapes import Filter, Input, Instant, VersionRef
from api.upgrades.preview import Forecast, Preview
from api.upgrades.service import Wanted
from domain.upgrades import FailureRate, ItemStatus, Ring, SkipReason
from store.upgrades import ItemView, UpgradeView

MOST_IDS = 10_000
MOST_RINGS = 20
LONGEST_WATCH = 24 * 3600
DEFAULT_STOP = 20.0

EXAMPLE: dict[str, Any] = {
    "rings": [{"count": 1}, {"percent": 5}, {"percent": 100}],
    "stop_at_failure_percent": 10,
    "watch_seconds": 600,
}


class RingBody(Input):
    """How far it goes before it is watched: so many instances, or a share of all."""

    count: Annotated[int, Field(ge=1)] | None = None
    percent: Annotated[float, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.count is None) == (self.percent is None):
            raise ValueError("a ring has either count or percent")
        return self


def _to_the_end(rings: list[RingBody]) -> list[RingBody]:
    if rings and rings[-1].percent != 100:
        raise ValueError("the last ring is all of them: {percent: 100}")
    return rings


class UpgradeBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE, {"dry_run": True}]})

    version_id: str | None = Field(None, description="Up or down; default: the latest available")
    instance_ids: Annotated[list[str], Field(min_length=1, max_length=MOST_IDS)] | None = Field(
        None, description="In this order; default: all of the integration, oldest first"
    )
    dry_run: bool = Field(False, description="Only say per instance what would change or fail")
    redeploy: bool = Field(True, description="False: move the versions and leave the deploys to somebody else")
    rate_per_second: Annotated[float, Field(gt=0, le=100)] | None = Field(None, description="At most so many a second")
    rings: Annotated[list[RingBody], Field(max_length=MOST_RINGS), AfterValidator(_to_the_end)] = Field(
        default_factory=list, description="How far to go before each look at what fails; default: all at once"
    )
    stop_at_failure_percent: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None,
        description="Of the upgraded instances' executions: when more of them fail, all are rolled back. "
        f"Default: {DEFAULT_STOP:g} with rings, else nothing is watched",
    )
    min_executions: Annotated[int, Field(ge=1, le=10_000)] = Field(5, description="With fewer nothing is rolled back")
    watch_seconds: Annotated[float, Field(ge=0, le=LONGEST_WATCH)] = Field(300, description="After each ring")

    def wanted(self) -> Wanted:
        limit = self.stop_at_failure_percent
        return Wanted(
            version_id=self.version_id,
            instance_ids=None if self.instance_ids is None else list(dict.fromkeys(self.instance_ids)),
            redeploy=self.redeploy,
            rate_per_second=self.rate_per_second,
            rings=[Ring(ring.count, ring.percent) for ring in self.rings],
            stop_at_failure_percent=DEFAULT_STOP if limit is None and self.rings else limit,
            min_executions=self.min_executions,
            watch_seconds=self.watch_seconds,
        )


class ForecastRead(BaseModel):
    """What would become of one instance. Problems of one that is `ok` wait for its next deploy."""

    instance_id: str
    before: VersionRef = Field(alias="from")
    after: VersionRef = Field(alias="to")
    ok: bool
    skipped: SkipReason | None
    deploys: bool = Field(description="False: its version moves, and nothing runs differently yet")
    problems: list[ProblemItem]
    flows_added: list[str]
    flows_removed: list[str] = Field(description="Their webhook URLs answer 404 until a version brings them back")
    unused_values: list[str] = Field(description="Set values without a field in the new version; they are kept")

    @classmethod
    def of(cls, each: Forecast, to: VersionRef) -> Self:
        problems = [ProblemItem.model_validate(vars(problem)) for problem in each.problems]
        return cls.model_validate(vars(each) | {"from": VersionRef(**each.before), "to": to, "problems": problems})


class PreviewRead(BaseModel):
    version: VersionRef
    matched: int
    has_more: bool = Field(description="Than are listed: name the others by instance_ids")
    items: list[ForecastRead]

    @classmethod
    def of(cls, preview: Preview) -> Self:
        to = VersionRef(id=preview.version.id, number=preview.version.number)
        items = [ForecastRead.of(each, to) for each in preview.items]
        return cls(version=to, matched=preview.matched, has_more=preview.matched > len(items), items=items)


class RingRead(BaseModel):
    number: int
    up_to: int = Field(description="The position of its last instance")


class ObservedRead(BaseModel):
    """Executions of the upgraded instances on the new version that have ended, tests left out."""

    ended: int
    failed: int
    percent: float


class UpgradeRead(JobRead):
    """The job, and what it does."""

    integration_id: str
    version: VersionRef
    matched: int
    succeeded: int
    skipped: int
    rolled_back: int
    ring: int = Field(description="The one it is at")
    rings: list[RingRead]
    redeploy: bool
    rate_per_second: float | None
    stop_at_failure_percent: float | None
    min_executions: int
    watch_seconds: float
    observed: ObservedRead | None

    @classmethod
    def of_view(cls, view: UpgradeView) -> Self:
        row, counts = view.row, view.counts
        ends: list[int] = row.ring_ends
        rate = FailureRate(**row.observed) if row.observed else None
        job = JobRead.of(view.job).model_dump() | {
            "done": view.job.total - counts[ItemStatus.PENDING],
            "failed": counts[ItemStatus.FAILED],
        }
        return cls(
            **job,
            integration_id=row.integration_id,
            version=VersionRef(id=row.version_id, number=view.version_number),
            matched=view.job.total,
            succeeded=counts[ItemStatus.OK],
            skipped=counts[ItemStatus.SKIPPED],
            rolled_back=counts[ItemStatus.ROLLED_BACK],
            ring=min(row.rings_passed + 1, len(ends)),
            rings=[RingRead(number=number, up_to=end) for number, end in enumerate(ends, 1)],
            redeploy=row.redeploy,
            rate_per_second=row.rate_per_second,
            stop_at_failure_percent=row.stop_at_failure_percent,
            min_executions=row.min_executions,
            watch_seconds=row.watch_seconds,
            observed=ObservedRead(ended=rate.ended, failed=rate.failed, percent=rate.percent) if rate else None,
        )


class UpgradeQuery(Filter):
    integration_id: list[str] = Field(default_factory=list)
    state: list[Literal["running", "paused", "succeeded", "failed", "aborted"]] = Field(default_factory=list)


class ItemQuery(Filter):
    status: list[Literal["pending", "ok", "failed", "skipped", "rolled_back"]] = Field(default_factory=list)


class UpgradeItemRead(BaseModel):
    position: int
    instance_id: str
    ring: int = Field(description="0: skipped from the start")
    status: ItemStatus
    reason: SkipReason | None
    problems: list[ProblemItem]
    before: VersionRef = Field(alias="from")
    after: VersionRef = Field(alias="to")
    deployment_id: str | None
    job_id: str | None = Field(description="Of its deploy")
    upgraded_at: Instant | None
    updated_at: Instant

    @classmethod
    def of(cls, item: ItemView, to: VersionRef) -> Self:
        row = item.row
        before = VersionRef(id=row.from_version_id, number=item.from_number)
        told = {name: getattr(row, name) for name in cls.model_fields if name not in ("before", "after", "problems")}
        problems = [ProblemItem.model_validate(problem) for problem in row.problems]
        return cls.model_validate(told | {"from": before, "to": to, "problems": problems})
