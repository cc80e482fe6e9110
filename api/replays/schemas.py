"""What replays of many executions look like on the wire."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.executions.schemas import ErrorRead, ExecutionQuery, ExecutionRead
from api.jobs.schemas import JobRead
from api.replays.service import Wanted
from api.shapes import Filter, Input, Instant
from domain.pausing import FASTEST, SLOWEST
from domain.replays import DEFAULT_RATE, ReplayStatus
from store.replays import ItemView, ReplayView

LISTED = frozenset(
    name for name, info in ExecutionQuery.model_fields.items() if str(info.annotation).startswith("list")
)
EXAMPLE: dict[str, Any] = {
    "filter": {"unresolved": True, "started_after": "2026-03-01T00:00:00Z"},
    "rate_per_second": 10,
    "stop_at_failure_percent": 50,
}


class ReplayFilter(ExecutionQuery):
    """The filters of `GET /v1/executions`; where several values may be given, one may stand alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if not given:
            raise ValueError("must name at least one filter")
        for name, value in given.items():
            if value == "" and name != "q":
                raise ValueError(f"{name} is empty")
        return {name: [value] if name in LISTED and isinstance(value, str) else value for name, value in given.items()}


class ReplayCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE, EXAMPLE | {"dry_run": True}]})

    filter: ReplayFilter = Field(description="Frozen when asked: what comes later is not replayed")
    dry_run: bool = Field(False, description="Only count what matches, and show some of it")
    version: Literal["current", "original"] = "current"
    from_: Literal["start", "failed_step"] = Field(
        "start", alias="from", description="failed_step: of what has failed; the rest starts at its beginning"
    )
    rate_per_second: Annotated[float, Field(ge=SLOWEST, le=FASTEST, allow_inf_nan=False)] = DEFAULT_RATE
    order: Literal["oldest_first"] = Field("oldest_first", description="Of each customer; customers take turns")
    stop_at_failure_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        None, description="Of the replays that have ended: when more of them failed, no other one begins"
    )
    min_ended: Annotated[int, Field(ge=1, le=10_000)] = Field(5, description="With fewer nothing is stopped")

    def wanted(self) -> Wanted:
        return Wanted(
            filter=self.filter.wanted(),
            asked=self.filter.model_dump(mode="json", exclude_unset=True),
            original_version=self.version == "original",
            from_failed_step=self.from_ == "failed_step",
            rate_per_second=self.rate_per_second,
            stop_at_failure_percent=self.stop_at_failure_percent,
            min_ended=self.min_ended,
        )


class ReplaySampleRead(BaseModel):
    """What a replay would take up, and those whose turn is first."""

    matched: int
    sample: list[ExecutionRead]


class ReplayRead(JobRead):
    """The job, and what it does."""

    matched: int
    started: int = Field(description="Replays that have begun, however they have ended")
    running: int = Field(description="Those of them that have not ended")
    succeeded: int
    skipped: int = Field(description="Left as they were; /items says why")
    filter: dict[str, Any]
    version: Literal["current", "original"]
    from_: Literal["start", "failed_step"] = Field(alias="from")
    order: Literal["oldest_first"]
    rate_per_second: float
    stop_at_failure_percent: float | None
    min_ended: int

    @classmethod
    def of_view(cls, view: ReplayView) -> Self:
        row, counts = view.row, view.counts
        running, succeeded, failed = (
            counts[status] for status in (ReplayStatus.STARTED, ReplayStatus.SUCCEEDED, ReplayStatus.FAILED)
        )
        values = JobRead.of(view.job).model_dump() | {
            "done": view.job.total - counts[ReplayStatus.PENDING] - running,
            "failed": failed,
            "matched": view.job.total,
            "started": running + succeeded + failed,
            "running": running,
            "succeeded": succeeded,
            "skipped": counts[ReplayStatus.SKIPPED],
            "filter": row.filter,
            "version": "original" if row.original_version else "current",
            "from": "failed_step" if row.from_failed_step else "start",
            "order": "oldest_first",
            "rate_per_second": row.rate_per_second,
            "stop_at_failure_percent": row.stop_at_failure_percent,
            "min_ended": row.min_ended,
        }
        return cls.model_validate(values)


class ReplayItemRead(BaseModel):
    """What has become of one execution."""

    position: int
    execution_id: str
    instance_id: str
    customer_id: str
    status: ReplayStatus
    reason: str | None = Field(description="Why it was skipped", examples=["resolved", "payload_expired"])
    replayed_as: str | None = Field(description="The new execution")
    error: ErrorRead | None = Field(description="Of the new execution")
    updated_at: Instant

    @classmethod
    def of(cls, view: ItemView) -> Self:
        row = view.row
        return cls(
            position=row.position,
            execution_id=row.execution_id,
            instance_id=row.instance_id,
            customer_id=row.customer_id,
            status=ReplayStatus(view.status),
            reason=row.reason,
            replayed_as=row.replayed_as,
            error=ErrorRead.of(view.error),
            updated_at=row.updated_at,
        )


class ReplayQuery(Filter):
    state: list[Literal["running", "paused", "succeeded", "failed", "aborted"]] = []


class ItemQuery(Filter):
    status: list[ReplayStatus] = []
