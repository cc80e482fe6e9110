"""What the flows of instances look like on the wire."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from activities.endpoints import previous_until, url_of
from api.flows.service import FlowView
from api.shapes import Input, Instant, Name
from domain.definitions.model import HmacScheme
from domain.executions import TriggerKind
from runtime.clock import utcnow
from store.tables import ExecutionRow, FlowApiKeyRow


class SecurityRead(BaseModel):
    """What callers of the webhook must bring."""

    api_key: Literal["optional", "required"] | None
    hmac: HmacScheme | None = Field(description="How deliveries must be signed")


class ScheduleRead(BaseModel):
    cron: str = Field(examples=["0 3 * * *"])
    time_zone: str = Field(examples=["Europe/Berlin"])


class QueueRead(BaseModel):
    mode: Literal["parallel", "sequential", "throttled"]
    limit: int | None
    waiting: int = Field(description="Executions that a pause holds, or that wait for a slot of the queue")
    running: int = Field(description="Other executions that have not ended")
    oldest_waiting_at: Instant | None = Field(description="When the first one that waits for a slot was accepted")
    paused: bool = Field(description="Nothing begins that waits for a slot")
    parked: int = Field(description="Executions that have failed for good, and what has their key waits behind them")
    parked_until: Instant | None = Field(description="When the first of those is given up")

    @classmethod
    def of(cls, view: FlowView) -> Self:
        settings = view.row.concurrency or {"mode": "parallel", "rule": {"limit": None}}
        return cls(
            mode=settings["mode"],
            limit=settings["rule"]["limit"],
            waiting=view.held + view.waiting,
            running=view.running,
            oldest_waiting_at=view.oldest_waiting_at,
            paused=view.row.queue_paused,
            parked=view.parked.parked,
            parked_until=view.parked.first_until,
        )


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
    webhook_url: str | None = Field(
        description="Of flows with a webhook trigger; it follows the key, or is the endpoint's that it shares"
    )
    previous_url_until: Instant | None = Field(description="Until when the URL before this one is heard, too")
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
        called = row.trigger == TriggerKind.WEBHOOK
        return cls.model_validate(
            {
                "id": row.id,
                "key": row.key,
                "name": row.name,
                "instance_id": row.instance_id,
                "trigger": row.trigger,
                "webhook_url": url_of(public_url, view.address) if called else None,
                "previous_url_until": previous_until(view.address, utcnow()) if called else None,
                "security": {
                    "api_key": view.security.get("api_key"),
                    "hmac": (view.security.get("hmac") or {}).get("scheme"),
                },
                "schedule": row.schedule,
                "next_runs": view.next_runs,
                "queue": QueueRead.of(view),
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
