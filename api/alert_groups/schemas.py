"""What alert groups look like on the wire."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from activities.targets import NewSecrets
from api.shapes import Filter, Input, Instant, Name, Patch
from api.target_shapes import MOST_TARGETS, Email, TargetRead, WebhookBody
from store.tables import AlertGroupRow, TargetRow

EXAMPLE: dict[str, Any] = {
    "name": "On call",
    "emails": ["ops@example.com"],
    "webhooks": [{"url": "https://alerts.example.com/hook", "headers": {"X-Routing-Key": "…"}}],
}

Emails = Annotated[list[Email], Field(max_length=MOST_TARGETS)]
Webhooks = Annotated[list[WebhookBody], Field(max_length=MOST_TARGETS)]


class AlertGroupCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    emails: Emails = Field(default_factory=list)
    webhooks: Webhooks = Field(default_factory=list)


class AlertGroupUpdate(Patch):
    model_config = ConfigDict(json_schema_extra={"examples": [{"emails": ["ops@example.com"]}]})

    name: Name = Field(default_factory=str)
    emails: Emails = Field(default_factory=list, description="Replaces all")
    webhooks: Webhooks = Field(default_factory=list, description="Replaces all. One that stays keeps its secret")


class AlertGroupQuery(Filter):
    name: list[str] = Field(default_factory=list, description="Exactly")


class AlertGroupRead(BaseModel):
    id: str
    name: str
    emails: list[str]
    webhooks: list[TargetRead]
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: AlertGroupRow, targets: Sequence[TargetRow], shown: NewSecrets) -> Self:
        return cls(
            id=row.id,
            name=row.name,
            emails=[each.address for each in targets if each.kind == "email"],
            webhooks=[TargetRead.of(each, shown) for each in targets if each.kind == "webhook"],
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
