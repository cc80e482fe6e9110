"""What integrations and checked definitions look like on the wire."""

from typing import Any

from pydantic import BaseModel, Field

from api.endpoints import EndpointRead
from api.problems import ProblemItem
from api.shapes import Filter, Input, Instant, VersionRef

EXAMPLE = """\
schema: flowgraft/v1
key: order-sync
name: Order sync
flows:
  - key: order-created
    trigger: {type: webhook}
    steps:
      - {key: say, action: log.write, inputs: {message: "Order {{ trigger.body.id }}"}}
"""


class DefinitionBody(Input):
    """A definition as text within JSON."""

    definition: str


class IntegrationQuery(Filter):
    q: str | None = Field(None, description="Any part of the name or the key")
    label: list[str] = Field(default_factory=list, description="Repeated: all of them")
    category: list[str] = Field(default_factory=list, description="Repeated: any of them")


class IntegrationRead(BaseModel):
    id: str
    key: str
    name: str
    description: str | None
    category: str | None
    labels: list[str]
    latest_version: VersionRef | None = Field(description="The newest that can be chosen for an instance")
    has_unpublished_changes: bool
    instance_count: int
    endpoint: EndpointRead | None = Field(description="That all instances share, once a version has had one")
    marketplace: dict[str, Any] | None
    created_at: Instant
    updated_at: Instant


class FlowOutline(BaseModel):
    key: str | None
    name: str | None
    trigger: str | None


class ActionOutline(BaseModel):
    """An action that the definition uses, and whether there is one."""

    key: str = Field(description="The component", examples=["http"])
    action: str = Field(examples=["get"])
    known: bool


class DefinitionCheck(BaseModel):
    valid: bool
    errors: list[ProblemItem]
    warnings: list[ProblemItem]
    flows: list[FlowOutline]
    components: list[ActionOutline]
