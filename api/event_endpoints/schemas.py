"""What event endpoints look like on the wire."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.shapes import Filter, Input, Instant, Name, Patch, Text
from api.target_shapes import Headers, Secret, Url
from domain.monitors import EVENT_NOUNS, EVERYTHING
from store.tables import EventEndpointRow, TargetRow

EXAMPLE: dict[str, Any] = {
    "name": "Our CRM",
    "url": "https://crm.example.com/flowgraft",
    "events": ["instance.*", "execution.failed"],
}
MOST_PATTERNS = 50

_PATTERN = re.compile(rf"(?:{'|'.join(EVENT_NOUNS)})\.(?:\*|[a-z][a-z_]{{0,60}})")


def _known_pattern(pattern: str) -> str:
    if pattern != EVERYTHING and not _PATTERN.fullmatch(pattern):
        raise ValueError(f"must be * or such as instance.deployed or instance.*, of {', '.join(EVENT_NOUNS)}")
    return pattern


Pattern = Annotated[str, Field(max_length=100), AfterValidator(_known_pattern)]
Events = Annotated[list[Pattern], Field(min_length=1, max_length=MOST_PATTERNS)]


class EventEndpointCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    url: Url
    events: Events = Field(default_factory=lambda: [EVERYTHING], description="Types, or `instance.*`, or `*`")
    description: Text | None = None
    headers: Headers | None = Field(None, description="Write-only")
    secret: Secret | None = Field(None, description="Of the signature; default: a new one, shown once")
    enabled: bool = True


class EventEndpointUpdate(Patch):
    model_config = ConfigDict(json_schema_extra={"examples": [{"events": ["*"]}]})

    name: Name = Field(default_factory=str)
    url: Url = Field(default_factory=str, description="It keeps its secret")
    events: Events = Field(default_factory=list)
    description: Text | None = None
    headers: Headers = Field(default_factory=dict, description="Replaces all")
    enabled: bool = Field(default_factory=bool, description="True also where it was disabled by what it answered")


class RotateBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap_seconds": 86400}]})

    overlap_seconds: float = Field(
        24 * 3600, ge=0, le=30 * 24 * 3600, description="So long messages are signed with the secret until now, too"
    )


class DeliveryQuery(Filter):
    state: list[Literal["pending", "succeeded", "failed", "canceled"]] = Field(default_factory=list)


class EventEndpointRead(BaseModel):
    id: str
    name: str
    description: str | None
    url: str
    events: list[str]
    header_names: list[str]
    secret: str | None = Field(description="Only in the answer that made it")
    enabled: bool
    failing_since: Instant | None = Field(description="Nothing has arrived since then")
    disabled_at: Instant | None
    disabled_reason: str | None = Field(description="`gone`: it answered 410; `failing`: for five days")
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: EventEndpointRow, target: TargetRow, secret: str | None) -> Self:
        return cls(
            id=row.id,
            name=row.name,
            description=row.description,
            url=target.address,
            events=row.events,
            header_names=target.header_names,
            secret=secret,
            enabled=row.enabled,
            failing_since=target.failing_since,
            disabled_at=target.disabled_at,
            disabled_reason=target.disabled_reason,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
