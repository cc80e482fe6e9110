"""What the audit trail looks like on the wire."""

from typing import Self

from pydantic import Field

from api.instances.schemas import EventRead
from api.shapes import Filter, Instant
from store.events import EventFilter
from store.tables import EventRow


class AuditQuery(Filter):
    principal: list[str] = Field(default_factory=list, description="The id of an API key, or bootstrap")
    action: list[str] = Field(default_factory=list, description="`instance.deployed`, or `instance` for all of it")
    object_id: list[str] = Field(default_factory=list)
    instance_id: list[str] = Field(default_factory=list)
    customer_id: list[str] = Field(default_factory=list)
    after: Instant | None = Field(None, description="From this time on")
    before: Instant | None = Field(None, description="Earlier than this time")

    def wanted(self) -> EventFilter:
        return EventFilter(
            principals=self.principal,
            actions=self.action,
            object_ids=self.object_id,
            instance_ids=self.instance_id,
            customer_ids=self.customer_id,
            after=self.after,
            before=self.before,
        )


class AuditRead(EventRead):
    instance_id: str | None
    customer_id: str | None

    @classmethod
    def of(cls, row: EventRow) -> Self:
        return cls(
            **EventRead.of(row).model_dump(exclude={"at", "created_at", "updated_at"}),
            at=row.at,
            created_at=row.at,
            updated_at=row.at,
            instance_id=row.instance_id,
            customer_id=row.customer_id,
        )
