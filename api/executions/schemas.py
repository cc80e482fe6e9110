"""What executions look like on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.gateway import WorkflowLink
from api.shapes import Filter, Input, Instant, Patch, Ref, VersionRef
from domain.executions import MOST_RETRIES, Status, TriggerKind
from domain.replays import Runs
from runtime.clock import utcnow
from store.executions import ExecutionFilter, ExecutionView
from store.tables import ExecutionRow


def _tag(text: str) -> str:
    key, colon, value = text.partition(":")
    if not (key and colon and value):
        raise ValueError("must be key:value")
    return text


class ExecutionQuery(Filter):
    customer_id: list[str] = []
    instance_id: list[str] = []
    integration_id: list[str] = []
    version_id: list[str] = []
    flow_id: list[str] = []
    status: list[Status] = []
    trigger: list[TriggerKind] = []
    tag: list[Annotated[str, AfterValidator(_tag)]] = Field([], description="key:value", examples=[["order_id:991"]])
    started_after: Instant | None = None
    started_before: Instant | None = None
    min_duration_seconds: float | None = Field(None, ge=0, allow_inf_nan=False)
    is_test: bool | None = None
    replay_of: list[str] = []
    waiting_connection_id: list[str] = []
    originals_only: bool = False
    unresolved: bool = Field(False, description="Failed originals with no later successful replay")
    parked: bool = Field(False, description="Failed for good, and what has their key waits behind them")
    hide_no_changes: bool = Field(False, description="Without polls that found nothing new")
    q: str | None = Field(None, description="An id, or any part of an error message or a tag's value")

    def wanted(self) -> ExecutionFilter:
        return ExecutionFilter(
            customer_ids=self.customer_id,
            instance_ids=self.instance_id,
            integration_ids=self.integration_id,
            version_ids=self.version_id,
            flow_ids=self.flow_id,
            statuses=self.status,
            triggers=self.trigger,
            tags=[(key, value) for key, _, value in (text.partition(":") for text in self.tag)],
            started_after=self.started_after,
            started_before=self.started_before,
            min_duration_seconds=self.min_duration_seconds,
            is_test=self.is_test,
            replay_of=self.replay_of,
            waiting_connection_ids=self.waiting_connection_id,
            originals_only=self.originals_only,
            unresolved=self.unresolved,
            parked=self.parked,
            hide_no_changes=self.hide_no_changes,
            q=self.q,
        )


class Expiry(NamedTuple):
    """When an execution is removed, and its payload."""

    execution: datetime | None
    payload: datetime | None


class FlowRef(BaseModel):
    id: str
    key: str
    name: str


class ErrorRead(BaseModel):
    code: str
    message: str
    step: str | None = Field(description="The failed step's path")
    details: dict[str, Any] | None = None

    @classmethod
    def of(cls, error: dict[str, Any] | None) -> Self | None:
        if error is None:
            return None
        return cls(code=error["code"], message=error["message"], step=error.get("step"), details=error.get("details"))


class TemporalRead(BaseModel):
    workflow_id: str | None
    run_id: str | None
    url: str | None = Field(description="The workflow in Temporal's Web UI")


class ExecutionLink(BaseModel):
    id: str
    status: Status
    queued_at: Instant

    @classmethod
    def of(cls, row: ExecutionRow) -> Self:
        return cls(id=row.id, status=Status(row.status), queued_at=row.queued_at)


class ExecutionRead(BaseModel):
    """One execution as lists show it."""

    id: str
    status: Status
    reason: str | None = Field(description="Why it was skipped or canceled, or what it waits for")
    waiting_connection_id: str | None = Field(description="The connection that must work again before it goes on")
    trigger: TriggerKind
    is_test: bool
    customer: Ref
    instance: Ref
    integration: Ref
    version: VersionRef
    flow: FlowRef
    attempt: int = Field(description="0 while queued")
    max_attempts: int
    next_attempt_at: Instant | None
    deployment_id: str = Field(description="What it runs on")
    queued_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    duration_seconds: float | None
    error: ErrorRead | None
    replay_of: str | None
    resolved_by: str | None = Field(description="The first replay of it, or of a replay of it, that has succeeded")
    parked_until: Instant | None = Field(description="Until when it keeps its place in its queue, though it has failed")
    superseded_by: str | None = Field(description="The newer delivery that made its pending retry needless")
    invoked_by: str | None
    tags: dict[str, str]
    temporal: TemporalRead
    expires_at: Instant | None = Field(description="When it will be removed; null until it has ended")
    payload_expires_at: Instant | None = Field(
        description="When its payload will be removed, or was; null without one, and until all have ended that share it"
    )
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, view: ExecutionView, link: WorkflowLink | None, expiry: Expiry, **more: Any) -> Self:
        row = view.row
        return cls(
            id=row.id,
            status=Status(row.status),
            reason=row.reason,
            waiting_connection_id=row.waiting_connection_id,
            trigger=TriggerKind(row.trigger),
            is_test=row.is_test,
            customer=Ref(id=row.customer_id, name=view.customer_name),
            instance=Ref(id=row.instance_id, name=view.instance_name),
            integration=Ref(id=row.integration_id, name=view.integration_name),
            version=VersionRef(id=row.version_id, number=view.version_number),
            flow=FlowRef(id=row.instance_flow_id, key=view.flow_key, name=view.flow_name),
            attempt=row.attempt,
            max_attempts=row.max_attempts,
            next_attempt_at=row.next_attempt_at,
            deployment_id=row.deployment_id,
            queued_at=row.queued_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            duration_seconds=_duration(row),
            error=ErrorRead.of(row.error),
            replay_of=row.replay_of,
            resolved_by=row.resolved_by,
            parked_until=row.parked_until,
            superseded_by=row.superseded_by,
            invoked_by=row.invoked_by,
            tags=row.tags,
            temporal=TemporalRead(
                workflow_id=row.workflow_id, run_id=row.run_id, url=link.url if link is not None else None
            ),
            expires_at=expiry.execution,
            payload_expires_at=expiry.payload,
            created_at=row.created_at,
            updated_at=row.updated_at,
            **more,
        )


class StepRead(BaseModel):
    """A step of one attempt. `truncated`: the output is larger than shown here, see …/steps/{path}/output."""

    path: str
    key: str
    name: str
    component: str
    action: str
    attempt: int
    iteration: list[int]
    status: Literal["running", "succeeded", "failed", "canceled"]
    tries: int
    started_at: Instant
    ended_at: Instant | None
    inputs: Any
    output: Any
    branch: str | None
    error: ErrorRead | None
    truncated: bool


class ExecutionDetail(ExecutionRead):
    """One execution with its steps, in start order over all attempts, and its lineage."""

    replays: list[ExecutionLink]
    supersedes: list[str] = Field(description="The executions whose pending retry this delivery has made needless")
    invoked: list[ExecutionLink]
    step_values_removed_at: Instant | None = Field(description="Since then inputs and outputs of its steps are gone")
    steps: list[StepRead]


class PayloadRead(BaseModel):
    method: str
    headers: dict[str, str]
    query: dict[str, str | list[str]]
    path: str
    content_type: str | None
    size: int
    body: Any = Field(description="Parsed where it is JSON or a form, text where it is text, else null: see …/raw")


class ReplayCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"version": "current", "from": "start"}]})

    version: Literal["current", "original"] = "current"
    from_: Literal["start", "failed_step"] = Field("start", alias="from")


class ExecutionUpdate(Patch):
    """What may be changed while it waits."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"next_attempt_at": "2026-03-01T12:00:00Z", "retries_left": 0}]}
    )

    next_attempt_at: Instant = Field(
        default_factory=utcnow, description="Of one that waits for its next attempt; what is over means now"
    )
    retries_left: int = Field(
        default_factory=int, ge=0, le=MOST_RETRIES, description="After the next attempt; 0: it is the last"
    )
    deployment_id: str = Field(
        default_factory=str, min_length=1, description="Of its instance; `current`: what is deployed now"
    )


class PreviewQuery(Filter):
    version: Literal["current", "original"] = "current"
    from_: Literal["start", "failed_step"] = Field("start", alias="from")


class StepForecastRead(BaseModel):
    """What a replay does about one action of the flow."""

    path: str = Field(description="Without the indexes of loops", examples=["lines.ship"])
    key: str
    name: str
    action: str | None
    runs: Runs = Field(description="kept: what it returned then is taken over; partly: in a loop, where it succeeded")
    outside: bool = Field(description="It may reach the outside world")
    conditional: bool = Field(description="Whether and how often it runs depends on a branch or a loop")
    succeeded: int = Field(description="How often it has succeeded in this execution")


class ReplayPreviewRead(BaseModel):
    """What a replay would do. One that would be refused is refused here, too, with the same code."""

    execution_id: str
    version: VersionRef
    from_: Literal["start", "failed_step"] = Field(alias="from")
    steps: list[StepForecastRead]


class Started(BaseModel):
    """An accepted execution."""

    execution_id: str
    url: str


class CancelRead(BaseModel):
    execution_id: str
    status: Status = Field(description="As it is now; it changes once the workflow has ended")


def _duration(row: ExecutionRow) -> float | None:
    if row.started_at is None or row.ended_at is None:
        return None
    return (row.ended_at - row.started_at).total_seconds()
