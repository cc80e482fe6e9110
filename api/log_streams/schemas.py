"""What log streams look like on the wire. Headers go in and never come out."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from activities.log_streams import Sent
from api.shapes import Filter, Input, Instant, Name, Patch
from api.target_shapes import Headers, Url
from domain.ids import made_at
from domain.log_streams import STANDARD, BatchFormat, Template, TemplateInvalid
from domain.logs import LOG_TYPES, SEVERITIES, LogType, Severity
from runtime.clock import utcnow
from store.log_streams import LogStreamFilter
from store.tables import LogStreamRow

EXAMPLE: dict[str, Any] = {
    "name": "Datadog",
    "url": "https://http-intake.logs.datadoghq.com/api/v2/logs",
    "headers": {"DD-API-KEY": "…"},
    "template": '{"ddsource": "flowgraft", "service": "{{ integration_name }}", "message": "{{ message }}"}',
    "severities": ["warn", "error", "fatal"],
}


def _usable_template(text: str) -> str:
    try:
        Template(text)
    except TemplateInvalid as error:
        raise ValueError(str(error)) from None
    return text


TemplateText = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(_usable_template)]
BatchSize = Annotated[int, Field(ge=1, le=1000)]


class LogStreamCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    url: Url
    headers: Headers = Field(default_factory=dict, description="Write-only: keys belong here, not into the address")
    template: TemplateText = Field(STANDARD, description="Of one line, with `{{ message }}` and the like")
    severities: list[Severity] = Field(default_factory=list, description="Default: all")
    types: list[LogType] = Field(default_factory=list, description="Default: all")
    batch_size: BatchSize = Field(100, description="Lines in one request at most")
    batch_format: BatchFormat = Field(BatchFormat.ARRAY, description="How several lines make one body")
    enabled: bool = True
    customer_id: str | None = Field(None, description="Lines of this customer's instances only")
    instance_id: str | None = Field(None, description="Lines of this instance only")


class LogStreamUpdate(Patch):
    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})

    name: Name = Field(default_factory=str)
    url: Url = Field(default_factory=str)
    headers: Headers = Field(default_factory=dict, description="Write-only. Left out, those that it has stay")
    template: TemplateText = Field(default_factory=str)
    severities: list[Severity] = Field(default_factory=list)
    types: list[LogType] = Field(default_factory=list)
    batch_size: BatchSize = Field(default_factory=int)
    batch_format: BatchFormat = Field(default_factory=lambda: BatchFormat.ARRAY)
    enabled: bool = Field(default_factory=bool, description="Enabled again, it goes on where it was")
    skip_to_now: bool = Field(default_factory=bool, description="True: what has not been sent by now never will be")


class LogStreamQuery(Filter):
    enabled: bool | None = None
    failing: bool | None = None
    customer_id: list[str] = Field(default_factory=list)
    instance_id: list[str] = Field(default_factory=list)

    def wanted(self) -> LogStreamFilter:
        return LogStreamFilter(self.enabled, self.failing, self.customer_id, self.instance_id)


class DeliveryFailure(BaseModel):
    at: Instant
    code: str = Field(examples=["http_403", "timeout"])
    message: str


class LogStreamRead(BaseModel):
    id: str
    name: str
    url: str
    header_names: list[str]
    template: str
    severities: list[Severity]
    types: list[LogType]
    batch_size: int
    batch_format: BatchFormat
    enabled: bool
    customer_id: str | None
    instance_id: str | None
    state: Literal["disabled", "sending", "failing"]
    sent_up_to: Instant = Field(description="All lines that were written before have been sent")
    lag_seconds: float | None = Field(description="How long ago that is; some seconds when all is well")
    delivered: int = Field(description="Lines that the target has taken")
    delivered_at: Instant | None
    refused: int = Field(description="Lines that the target would not have, not even alone: left out")
    failures: int = Field(description="Since the last success")
    failing_since: Instant | None
    last_error: DeliveryFailure | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: LogStreamRow) -> Self:
        sent_up_to = made_at(row.cursor)
        lag = max(utcnow() - sent_up_to, timedelta(0)).total_seconds() if row.enabled else None
        return cls(
            id=row.id,
            name=row.name,
            url=row.url,
            header_names=row.header_names,
            template=row.template,
            severities=[each for each in SEVERITIES if each in row.severities],
            types=[each for each in LOG_TYPES if each in row.types],
            batch_size=row.batch_size,
            batch_format=BatchFormat(row.batch_format),
            enabled=row.enabled,
            customer_id=row.customer_id,
            instance_id=row.instance_id,
            state="disabled" if not row.enabled else "failing" if row.failing_since else "sending",
            sent_up_to=sent_up_to,
            lag_seconds=None if lag is None else round(lag, 1),
            delivered=row.delivered,
            delivered_at=row.delivered_at,
            refused=row.refused,
            failures=row.failures,
            failing_since=row.failing_since,
            last_error=DeliveryFailure.model_validate(row.error) if row.error else None,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class TrialRead(BaseModel):
    """What became of a sample line."""

    ok: bool
    status: int | None = Field(description="What the target answered, if it did")
    error: DeliveryFailure | None

    @classmethod
    def of(cls, sent: Sent) -> Self:
        error = DeliveryFailure.model_validate(sent.failure) if sent.failure else None
        return cls(ok=error is None, status=sent.status, error=error)
