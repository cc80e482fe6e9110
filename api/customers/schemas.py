"""What customers look like on the wire."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.shapes import Filter, Input, Instant, Labels, Name, Patch, Text
from domain.queues import MOST_RUNNING
from store.tables import CustomerRow

EXAMPLE: JsonDict = {"name": "Acme", "external_id": "crm-4711", "description": "Our first", "labels": ["beta"]}

ExternalId = Annotated[Name, Field(description="The id this customer has with you")]


MaxRunning = Annotated[
    Annotated[int, Field(ge=1, le=MOST_RUNNING, strict=True)] | None,
    Field(description="Executions at once, in all its instances; what is above waits. null: no limit"),
]


class CustomerCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    external_id: ExternalId | None = None
    description: Text | None = None
    labels: Labels = Field(default_factory=list)
    show_all_instances: bool = False
    max_running: MaxRunning = None


class CustomerUpdate(Patch):
    model_config = ConfigDict(json_schema_extra={"examples": [{"labels": ["beta", "eu"]}]})

    name: Name = Field(default_factory=str)
    external_id: ExternalId | None = None
    description: Text | None = None
    labels: Labels = Field(default_factory=list)
    show_all_instances: bool = Field(default_factory=bool)
    max_running: MaxRunning = None


class CustomerQuery(Filter):
    q: str | None = Field(None, description="Any part of the name or the external id")
    external_id: list[str] = Field(default_factory=list, description="Repeated: any of them")
    label: list[str] = Field(default_factory=list, description="Repeated: all of them")


class CustomerRead(BaseModel):
    id: str
    name: str
    external_id: str | None
    description: str | None
    labels: list[str]
    show_all_instances: bool
    max_running: int | None
    state: str = Field(examples=["active", "deleting"])
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: CustomerRow) -> Self:
        return cls(
            id=row.id,
            name=row.name,
            external_id=row.external_id,
            description=row.description,
            labels=row.labels,
            show_all_instances=row.show_all_instances,
            max_running=row.max_running,
            state="deleting" if row.deleting else "active",
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class CustomerQueueRead(BaseModel):
    """What has a slot, and what waits for one. Without a limit only flows with a queue of their own have slots."""

    limit: int | None
    running: int
    waiting: int
    oldest_waiting_at: Instant | None
