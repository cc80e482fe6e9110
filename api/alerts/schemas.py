"""What alerts look like on the wire."""

from typing import Any, Self

from pydantic import BaseModel, Field

from api.shapes import Filter, Instant, Ref
from api.target_shapes import DeliveryRead
from store.alerts import AlertFilter
from store.tables import AlertRow


class AlertQuery(Filter):
    q: str | None = Field(None, description="Any part of the message or of the monitor's name")
    monitor_id: list[str] = Field(default_factory=list)
    customer_id: list[str] = Field(default_factory=list)
    integration_id: list[str] = Field(default_factory=list)
    instance_id: list[str] = Field(default_factory=list)
    flow_id: list[str] = Field(default_factory=list)
    execution_id: list[str] = Field(default_factory=list)
    suppressed: bool | None = Field(None, description="Recorded in a maintenance, and not sent")
    after: Instant | None = Field(None, description="From this time on")
    before: Instant | None = Field(None, description="Earlier than this time")

    def wanted(self) -> AlertFilter:
        return AlertFilter(
            q=self.q,
            monitor_ids=self.monitor_id,
            customer_ids=self.customer_id,
            integration_ids=self.integration_id,
            instance_ids=self.instance_id,
            flow_ids=self.flow_id,
            execution_ids=self.execution_id,
            suppressed=self.suppressed,
            after=self.after,
            before=self.before,
        )


class AlertTriggerRead(BaseModel):
    type: str = Field(examples=["execution_failed", "test"])
    seconds: float | None = None
    minutes: float | None = None
    severity: str | None = None
    waiting: int | None = None


class AlertErrorRead(BaseModel):
    code: str
    message: str
    step: str | None


class AlertRead(BaseModel):
    """One firing of a monitor, with the names that things had then."""

    id: str
    monitor: Ref
    trigger: AlertTriggerRead
    message: str
    suppressed: bool
    is_test: bool
    customer: Ref | None
    integration: Ref | None
    instance: Ref | None
    flow: Ref | None
    execution_id: str | None
    connection_id: str | None
    step: str | None
    error: AlertErrorRead | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: AlertRow) -> Self:
        return cls.model_validate(_values(row))


class AlertDetail(AlertRead):
    """With the messages to its targets."""

    deliveries: list[DeliveryRead]

    @classmethod
    def with_deliveries(cls, row: AlertRow, deliveries: list[DeliveryRead]) -> Self:
        return cls.model_validate(_values(row) | {"deliveries": deliveries})


def _values(row: AlertRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "monitor": {"id": row.monitor_id, "name": row.monitor_name},
        "trigger": row.trigger,
        "message": row.message,
        "suppressed": row.suppressed,
        "is_test": row.is_test,
        **{noun: row.names.get(noun) for noun in ("customer", "integration", "instance", "flow")},
        "execution_id": row.execution_id,
        "connection_id": row.connection_id,
        "step": row.step,
        "error": row.error,
        "created_at": row.at,
        "updated_at": row.at,
    }
