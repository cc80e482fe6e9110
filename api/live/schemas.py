"""What live updates look like on the wire: the `data` of each event. Inputs and outputs of steps are not in them."""

from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, Field

from api.executions.schemas import ErrorRead
from api.live.changes import Change, ChangeFilter
from api.shapes import Filter, Instant
from domain.executions import Status, TriggerKind
from store.live import ExecutionState, StepState
from store.tables import EventRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ChangeQuery(Filter):
    instance_id: list[str] = Field(default_factory=list)
    customer_id: list[str] = Field(default_factory=list)
    kind: list[str] = Field(
        default_factory=list,
        description="`execution`, `instance`, `connection`, `flow`, or one of their events",
        examples=[["execution.failed", "instance"]],
    )

    def wanted(self) -> ChangeFilter:
        return ChangeFilter(self.customer_id, self.instance_id, self.kind)


class ExecutionUpdate(BaseModel):
    """An execution as it is now."""

    id: str
    status: Status
    reason: str | None
    trigger: TriggerKind
    is_test: bool
    customer_id: str
    instance_id: str
    integration_id: str
    flow_id: str
    attempt: int
    max_attempts: int
    next_attempt_at: Instant | None
    queued_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    error: ErrorRead | None
    replay_of: str | None
    updated_at: Instant

    @classmethod
    def of(cls, state: ExecutionState) -> Self:
        given = state._asdict() | {"flow_id": state.instance_flow_id, "error": ErrorRead.of(state.error)}
        return cls.model_validate(given)


class StepUpdate(BaseModel):
    """A step as it is now, known by attempt and path."""

    attempt: int
    path: str
    key: str
    name: str
    component: str
    action: str
    iteration: list[int]
    status: Literal["running", "succeeded", "failed", "canceled"]
    tries: int
    started_at: Instant
    ended_at: Instant | None
    branch: str | None
    error: ErrorRead | None

    @classmethod
    def of(cls, state: StepState) -> Self:
        return cls.model_validate(state._asdict() | {"error": ErrorRead.of(state.error)})


class InstanceUpdate(BaseModel):
    """Something was done to an instance."""

    id: str
    at: Instant
    principal: str
    object_id: str
    instance_id: str | None
    customer_id: str | None
    details: dict[str, Any]

    @classmethod
    def of(cls, row: EventRow) -> Self:
        return cls.model_validate(row, from_attributes=True)


def update_of(change: Change) -> ExecutionUpdate | InstanceUpdate:
    if isinstance(change.what, ExecutionState):
        return ExecutionUpdate.of(change.what)
    return InstanceUpdate.of(change.what)


def microseconds(at: datetime) -> str:
    """The id of an event that says when."""
    return str((at - EPOCH) // datetime.resolution)


def moment(text: str) -> datetime:
    """Of such an id; long ago for what is none."""
    try:
        return EPOCH + int(text) * datetime.resolution
    except (ValueError, OverflowError):
        return EPOCH
