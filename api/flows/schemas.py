"""What the flows of instances look like on the wire."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from activities.deployments import webhook_url
from api.flows.service import FlowView
from api.shapes import Input, Instant, Name
from domain.executions import TriggerKind
from store.tables import ExecutionRow, FlowApiKeyRow


class SecurityRead(BaseModel):
    """What callers of the webhook must bring."""

    api_key: Literal["optional", "required"] | None


class ScheduleRead(BaseModel):
    cron: str = Field(examples=["0 3 * * *"])
    time_zone: str = Field(examples=["Europe/Berlin"])


class QueueRead(BaseModel):
    mode: Literal["parallel", "sequential", "throttled"]
    limit: int | None
    waiting: int
    running: int = Field(description="Executions that have not ended")


class LastExecutionRead(BaseModel):
    id: str
    status: str
    started_at: Instant | None
    ended_at: Instant | None

    @classmethod
    def of(cls, row: ExecutionRow) -> Self:
        return cls(id=row.id, status=row.status, started_at=row.started_at, ended_at=row.ended_at)


class FlowRead(BaseModel):
    id: str
    key: str
    name: str
    instance_id: str
    trigger: Literal["webhook", "schedule", "deploy", "remove", "flow", "poll"]
    webhook_url: str | None = Field(description="Of flows with a webhook trigger; it follows the key")
    security: SecurityRead
    schedule: ScheduleRead | None = Field(description="As deployed")
    next_runs: list[Instant] = Field(description="Up to three; none while paused or not deployed")
    queue: QueueRead
    last_execution: LastExecutionRead | None = Field(description="The latest that has ended")
    in_failed_state: bool
    active: bool = Field(description="False: the deployed version no longer has this flow")
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, view: FlowView, public_url: str) -> Self:
        row = view.row
        return cls.model_validate(
            {
                "id": row.id,
                "key": row.key,
                "name": row.name,
                "instance_id": row.instance_id,
                "trigger": row.trigger,
                "webhook_url": webhook_url(public_url, row.token) if row.trigger == TriggerKind.WEBHOOK else None,
                "security": {"api_key": view.api_key},
                "schedule": row.schedule,
                "next_runs": view.next_runs,
                "queue": {"mode": "parallel", "limit": None, "waiting": 0, "running": view.running},
                "last_execution": LastExecutionRead.of(view.last_execution) if view.last_execution else None,
                "in_failed_state": row.failed,
                "active": row.active,
                "created_at": row.created_at,
                "updated_at": row.updated_at,
            }
        )


class FlowKeyCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "The shop's server"}]})

    name: Name | None = None


class FlowKeyRead(BaseModel):
    id: str
    name: str | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: FlowApiKeyRow) -> Self:
        return cls(id=row.id, name=row.name, created_at=row.created_at, updated_at=row.created_at)


class FlowKeyCreated(FlowKeyRead):
    key: str = Field(description="Shown this once; callers send it as `Api-Key: …`")
