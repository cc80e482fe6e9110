"""What maintenance windows look like on the wire."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.shapes import Input, Instant, Text
from store.tables import MaintenanceWindowRow

EXAMPLE: dict[str, Any] = {"from": "2026-03-01T22:00:00Z", "to": "2026-03-02T02:00:00Z", "note": "The ERP moves"}

Id = Annotated[str, Field(min_length=1, max_length=100)]


class MaintenanceWindowCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    from_: Instant = Field(alias="from")
    to: Instant
    customer_id: Id | None = Field(None, description="Only of this customer. Without either: of everybody")
    instance_id: Id | None = Field(None, description="Only of this instance")
    note: Text | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.to <= self.from_:
            raise ValueError("must end after it begins")
        if self.customer_id and self.instance_id:
            raise ValueError("give one of customer_id and instance_id, or none")
        return self


class MaintenanceWindowRead(BaseModel):
    id: str
    from_: Instant = Field(serialization_alias="from")
    to: Instant
    customer_id: str | None
    instance_id: str | None
    note: str | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: MaintenanceWindowRow) -> Self:
        return cls(
            id=row.id,
            from_=row.starts_at,
            to=row.ends_at,
            customer_id=row.customer_id,
            instance_id=row.instance_id,
            note=row.note,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
