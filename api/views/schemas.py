"""What saved views look like on the wire, and which filters each kind of list takes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_origin
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.customers.schemas import CustomerQuery
from api.executions.schemas import ExecutionQuery
from api.instances.schemas import InstanceQuery
from api.logs.schemas import LogQuery
from api.problems import pointer
from api.shapes import Filter, Input, Instant, Name, Patch
from domain.errors import Invalid, Problem
from domain.text import nearest
from store.tables import SavedViewRow

Resource = Literal["instances", "customers", "executions", "logs"]
Given = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=50)]
Parameters = Annotated[dict[str, Given], Field(max_length=50, description="Parameter → its values, as texts")]

QUERIES: Mapping[str, type[Filter]] = {
    "instances": InstanceQuery,
    "customers": CustomerQuery,
    "executions": ExecutionQuery,
    "logs": LogQuery,
}
EXAMPLE: dict[str, Any] = {
    "name": "Broken in Europe",
    "resource": "instances",
    "query": {"label": ["eu"], "in_failed_state": ["true"]},
}


class ViewCreate(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: Name
    resource: Resource
    query: Parameters


class ViewUpdate(Patch):
    model_config = ConfigDict(json_schema_extra={"examples": [{"query": {"label": ["us"]}}]})

    name: Name = Field(default_factory=str)
    query: Parameters = Field(default_factory=dict)


class ViewQuery(Filter):
    resource: list[Resource] = Field(default_factory=list)
    name: list[str] = Field(default_factory=list, description="Exactly")


class ViewRead(BaseModel):
    id: str
    name: str
    resource: Resource
    query: dict[str, list[str]]
    path: str = Field(description="The list, filtered", examples=["/v1/instances?label=eu&in_failed_state=true"])
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: SavedViewRow) -> Self:
        return cls(
            id=row.id,
            name=row.name,
            resource=row.resource,
            query=row.query,
            path=f"/v1/{row.resource}?{urlencode(row.query, doseq=True)}",
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


def ensure_query(resource: str, query: Mapping[str, list[str]]) -> None:
    """Raises Invalid with a pointer per parameter that the list would refuse."""
    model = QUERIES[resource]
    problems = [_unknown(name, model) for name in query if name not in model.model_fields]
    problems += [
        Problem(pointer(["query", name]), "repeated", "May be given once only.")
        for name, values in query.items()
        if name in model.model_fields and len(values) > 1 and not _is_list(model, name)
    ]
    if not problems:
        problems = _refused(
            model, {name: values if _is_list(model, name) else values[0] for name, values in query.items()}
        )
    if problems:
        raise Invalid(f"The list of {resource} would refuse this.", problems)


def _refused(model: type[Filter], query: Mapping[str, Any]) -> list[Problem]:
    try:
        model.model_validate(query)
    except ValidationError as error:
        return [
            Problem(pointer(["query", *each["loc"]]), str(each["type"]), str(each["msg"]))
            for each in error.errors(include_url=False)
        ]
    return []


def _unknown(name: str, model: type[Filter]) -> Problem:
    hint = nearest(name, model.model_fields)
    detail = f"There is no such parameter; did you mean {hint}?" if hint else "There is no such parameter."
    return Problem(pointer(["query", name]), "unknown_parameter", detail)


def _is_list(model: type[Filter], name: str) -> bool:
    return get_origin(model.model_fields[name].annotation) is list
