"""What log lines look like on the wire."""

from dataclasses import replace
from typing import Literal, Self

from pydantic import BaseModel, Field

from api.logs.service import Asked
from api.shapes import Filter, Instant
from domain.logs import SEVERITIES, LogType, Severity
from store.logs import LogFilter, LogLine


class LogFilters(Filter):
    q: str | None = Field(None, description="Any part of the message, in any case")
    severity: list[Severity] = Field(default_factory=list)
    min_severity: Severity | None = None
    customer_id: list[str] = Field(default_factory=list)
    instance_id: list[str] = Field(default_factory=list)
    flow_id: list[str] = Field(default_factory=list)
    execution_id: list[str] = Field(default_factory=list)
    type: list[LogType] = Field(default_factory=list)
    step: list[str] = Field(default_factory=list, description="The step's path, such as `lines[2].ship`")
    is_test: bool | None = None

    def wanted(self) -> LogFilter:
        return LogFilter(
            q=self.q,
            severities=[SEVERITIES.index(each) for each in self.severity],
            min_severity=None if self.min_severity is None else SEVERITIES.index(self.min_severity),
            customer_ids=self.customer_id,
            instance_ids=self.instance_id,
            flow_ids=self.flow_id,
            execution_ids=self.execution_id,
            types=self.type,
            steps=self.step,
            is_test=self.is_test,
        )


class LogQuery(LogFilters):
    after: Instant | None = Field(None, description="From this time on")
    before: Instant | None = Field(None, description="Earlier than this time")
    order: Literal["desc", "asc"] | None = Field(
        None, description="Default: newest first; with `after_id` oldest first"
    )
    after_id: str | None = Field(
        None,
        max_length=100,
        description="Written after this line, oldest first: ask again with the last one's id. Comes five seconds late, "
        "so that none is passed over",
    )
    surrounding: str | None = Field(
        None,
        max_length=100,
        description="A line's id: as many lines before as after it, of its execution, else its instance, unless others "
        "are named",
    )

    def wanted(self) -> LogFilter:
        return replace(super().wanted(), after=self.after, before=self.before)

    def asked(self) -> Asked:
        ascending = (self.order or ("asc" if self.after_id else "desc")) == "asc"
        return Asked(self.wanted(), ascending, self.after_id, self.surrounding)


class LogRead(BaseModel):
    id: str
    timestamp: Instant
    severity: Severity
    message: str
    type: str = Field(examples=["execution", "connection", "management", "rate_limit"])
    step: str | None = Field(description="The step's path")
    attempt: int | None
    is_test: bool
    execution_id: str | None
    flow_id: str | None
    instance_id: str | None
    customer_id: str | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, line: LogLine) -> Self:
        row = line.row
        return cls(
            id=row.id,
            timestamp=row.timestamp,
            severity=SEVERITIES[row.severity],
            message=row.message,
            type=row.type,
            step=row.step,
            attempt=row.attempt,
            is_test=line.is_test,
            execution_id=row.execution_id,
            flow_id=row.instance_flow_id,
            instance_id=row.instance_id,
            customer_id=row.customer_id,
            created_at=row.timestamp,
            updated_at=row.timestamp,
        )
