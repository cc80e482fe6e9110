"""What publishing, versions and the difference of two versions look like on the wire."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from api.shapes import CONTROL, Input, Instant, Name, Patch, Text, VersionRef
from domain.definitions import diff
from domain.definitions.diff import Changed, ChangedFlow, DefinitionDiff, PartsDiff

MOST_ATTRIBUTES = 50
LONGEST_ATTRIBUTE = 2000
LARGEST_NUMBER = 2**53 - 1


def _attribute(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > LONGEST_ATTRIBUTE or CONTROL.search(value):
            raise ValueError(f"must be at most {LONGEST_ATTRIBUTE} characters on one line")
        return value
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) <= LARGEST_NUMBER:
        return value
    raise ValueError("must be a text, a number, true or false")


Attribute = Annotated[
    Any, AfterValidator(_attribute), WithJsonSchema({"type": ["string", "number", "boolean"], "title": "Attribute"})
]
Attributes = Annotated[dict[Name, Attribute], Field(max_length=MOST_ATTRIBUTES)]

PUBLISH_EXAMPLE: dict[str, Any] = {
    "comment": "Retries on the first step",
    "attributes": {
        "external_version": "1.4.0",
        "commit_hash": "9f2c1e7",
        "commit_url": "https://git.example.com/order-sync/commit/9f2c1e7",
    },
}


class PublishBody(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [PUBLISH_EXAMPLE]})

    comment: Text | None = None
    attributes: Attributes = Field(
        default_factory=dict,
        description="Where it comes from: commit_hash, commit_url, repo_url, pull_request_url, external_version …",
    )


class VersionUpdate(Patch):
    model_config = ConfigDict(json_schema_extra={"examples": [{"available": False}]})

    available: bool = Field(default_factory=bool)


class VersionRead(BaseModel):
    id: str
    integration_id: str
    number: int
    comment: str | None
    attributes: dict[str, Any]
    published_by: str | None = Field(description="The id of the API key, or bootstrap")
    available: bool
    instance_count: int
    created_at: Instant
    updated_at: Instant


class FieldChangeRead(BaseModel):
    """`path` says where, such as `trigger.cron`; what is absent is null. `inside` and `position` tell of a move."""

    model_config = ConfigDict(serialize_by_alias=True)

    path: str
    before: Any = Field(alias="from")
    after: Any = Field(alias="to")

    @classmethod
    def of(cls, change: diff.FieldChange) -> Self:
        return cls.model_validate({"path": change.path, "from": change.before, "to": change.after})


class PartRead(BaseModel):
    key: str
    name: str
    kind: str | None = Field(description="A flow's trigger, a step's action or kind, a field's type")
    place: str | None = Field(description="A step's path, a field's page")


class ChangedRead(BaseModel):
    key: str
    name: str
    place: str | None
    fields: list[FieldChangeRead]

    @classmethod
    def of(cls, changed: Changed) -> Self:
        return cls.model_validate(_shown(changed))


class PartsDiffRead(BaseModel):
    added: list[PartRead]
    removed: list[PartRead]
    changed: list[ChangedRead]

    @classmethod
    def of(cls, parts: PartsDiff[Changed]) -> Self:
        return cls.model_validate(_parts(parts, ChangedRead.of))


class ChangedFlowRead(ChangedRead):
    steps: PartsDiffRead

    @classmethod
    def of(cls, changed: Changed) -> Self:
        assert isinstance(changed, ChangedFlow), "flows hold changed flows"
        return cls.model_validate(_shown(changed) | {"steps": PartsDiffRead.of(changed.steps)})


class FlowsDiffRead(BaseModel):
    added: list[PartRead]
    removed: list[PartRead]
    changed: list[ChangedFlowRead]

    @classmethod
    def of(cls, parts: PartsDiff[ChangedFlow]) -> Self:
        return cls.model_validate(_parts(parts, ChangedFlowRead.of))


class VersionDiffRead(BaseModel):
    """What is in `version` and not in `against` was added. Flows, steps and fields are the same when their key is."""

    version: VersionRef
    against: VersionRef | None = Field(description="Null for the first version: everything is new")
    identical: bool = Field(description="No difference in meaning; comments and layout of the text may differ")
    integration: list[FieldChangeRead] = Field(description="The integration's own fields")
    pages: PartsDiffRead
    config: PartsDiffRead
    flows: FlowsDiffRead

    @classmethod
    def of(cls, found: DefinitionDiff, version: VersionRef, against: VersionRef | None) -> Self:
        return cls(
            version=version,
            against=against,
            identical=found.identical,
            integration=[FieldChangeRead.of(each) for each in found.fields],
            pages=PartsDiffRead.of(found.pages),
            config=PartsDiffRead.of(found.config),
            flows=FlowsDiffRead.of(found.flows),
        )


def _shown(changed: Changed) -> dict[str, Any]:
    fields = [FieldChangeRead.of(each) for each in changed.fields]
    return {"key": changed.key, "name": changed.name, "place": changed.place, "fields": fields}


def _parts(parts: PartsDiff[Any], read: Callable[[Any], BaseModel]) -> dict[str, Any]:
    return {
        "added": [vars(each) for each in parts.added],
        "removed": [vars(each) for each in parts.removed],
        "changed": [read(each) for each in parts.changed],
    }
