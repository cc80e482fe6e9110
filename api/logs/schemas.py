"""What log lines look like on the wire."""

from typing import Literal, Self

from pydantic import BaseModel, Field

from api.shapes import Filter, Instant
from domain.logs import SEVERITIES, Severity
from store.logs import LogFilter
from store.tables import LogRow

LogType = Literal["execution", "connection", "management", "rate_limit"]


class LogQuery(Filter):
    q: str | None = Field(None, description="Any part of the message")
    severity: list[Severity] = Field(default_factory=list)
    min_severity: Severity | None = None
    after: Instant | None = Field(None, description="From this time on")
    before: Instant | None = Field(None, description="Earlier than this time")
    customer_id: list[str] = Field(default_factory=list)
    instance_id: list[str] = Field(default_factory=list)
    flow_id: list[str] = Field(default_factory=list)
    execution_id: list[str] = Field(default_factory=list)
    type: list[LogType] = Field(default_factory=list)

    def wanted(self) -> LogFilter:
        return LogFilter(
            q=self.q,
            severities=[SEVERITIES.index(each) for each in self.severity],
            min_severity=None if self.min_severity is None else SEVERITIES.index(self.min_severity),
            after=self.after,
            before=self.before,
            customer_ids=self.customer_id,
            instance_ids=self.instance_id,
            flow_ids=self.flow_id,
            execution_ids=self.execution_id,
            types=self.type,
        )


class LogRead(BaseModel):
    id: str
    timestamp: Instant
    severity: Severity
    message: str
    type: str = Field(examples=["execution", "connection", "management", "rate_limit"])
    step: str | None = Field(description="The step's path")
    attempt: int | None
    execution_id: str | None
    flow_id: str | None
    instance_id: str | None
    customer_id: str | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: LogRow) -> Self:
        return cls(
            id=row.id,
            timestamp=row.timestamp,
            severity=SEVERITIES[row.severity],
            message=row.message,
            type=row.type,
            step=row.step,
            attempt=row.attempt,
            execution_id=row.execution_id,
            flow_id=row.instance_flow_id,
            instance_id=row.instance_id,
            customer_id=row.customer_id,
            created_at=row.timestamp,
            updated_at=row.timestamp,
        )
