"""`/v1/integrations` and `/v1/definitions/validate`."""

import asyncio
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import ValidationError

from api.deps import BodyDep, CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.endpoints import EndpointRead, RotateBody
from api.etags import etag
from api.integrations import service
from api.integrations.outline import actions_of, flows_of
from api.integrations.schemas import (
    EXAMPLE,
    DefinitionBody,
    DefinitionCheck,
    IntegrationQuery,
    IntegrationRead,
)
from api.integrations.service import IntegrationView
from api.paging import Listing
from api.problems import ProblemItem, invalid
from api.routing import requires, v1_router
from api.shapes import VersionRef
from api.strict import JSON, Body
from domain.catalog import Catalog
from domain.definitions.reader import ReadResult, read_definition
from domain.definitions.yamltree import read_tree
from domain.errors import Problem
from store.integrations import IntegrationFilter

YAML = "application/yaml"
DEFINITION_TYPES = (YAML, "application/x-yaml", "text/yaml", JSON)
DEFINITION_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            YAML: {"schema": {"type": "string"}, "example": EXAMPLE},
            JSON: {"schema": DefinitionBody.model_json_schema(), "example": {"definition": EXAMPLE}},
        },
    }
}

router = v1_router("integrations")
definitions = v1_router("definitions")


@router.post(
    "/integrations", status_code=201, responses={200: {"model": IntegrationRead}}, openapi_extra=DEFINITION_BODY
)
@requires("write", accepts=DEFINITION_TYPES)
async def put(
    body: BodyDep,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    response: Response,
) -> IntegrationRead:
    """Create an integration (201), or replace the draft of the one with the same key (200)."""
    row, created = await service.put_draft(
        session, caller.principal, _definition_text(body), resources.catalog, precondition
    )
    response.status_code = 201 if created else 200
    tag(row.revision)
    return _read(await service.view(session, row), resources.settings.public_url)


@definitions.post("/definitions/validate", openapi_extra=DEFINITION_BODY)
@requires("read", accepts=DEFINITION_TYPES, detached=True)
async def validate(body: BodyDep, resources: ResourcesDep) -> DefinitionCheck:
    """Check a definition and say what it holds; stores nothing."""
    text = _definition_text(body)
    result, tree = await asyncio.to_thread(_checked, text, resources.catalog)
    return DefinitionCheck(
        valid=result.definition is not None,
        errors=[_item(problem) for problem in result.errors],
        warnings=[_item(problem) for problem in result.warnings],
        flows=flows_of(tree),
        components=actions_of(tree, resources.catalog),
    )


def _checked(text: str | bytes, catalog: Catalog) -> tuple[ReadResult, Any]:
    """Off the event loop: a hostile text takes seconds."""
    return read_definition(text, catalog), read_tree(text).value


@router.get("/integrations")
@requires("read")
async def list_(
    query: Annotated[IntegrationQuery, Query()], session: Session, pager: PagerDep, resources: ResourcesDep
) -> Listing[IntegrationRead]:
    """List integrations, newest first."""
    labels = [label.lower() for label in query.label]
    views = await service.find(session, IntegrationFilter(query.q, labels, query.category), pager.page)
    read = partial(_read, public_url=resources.settings.public_url)
    return pager.listing(views, read, lambda view: view.row.id)


@router.get("/integrations/{integration_id}")
@requires("read")
async def get(integration_id: str, session: Session, resources: ResourcesDep, tag: EtagDep) -> IntegrationRead:
    """Read an integration."""
    row = await service.get(session, integration_id)
    tag(row.revision)
    return _read(await service.view(session, row), resources.settings.public_url)


@router.post("/integrations/{integration_id}/rotate_endpoint")
@requires("write")
async def rotate_endpoint(
    integration_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    body: RotateBody | None = None,
) -> IntegrationRead:
    """Give the endpoint that all instances share another URL; the old one answers 410, at once or after the overlap."""
    overlap = (body or RotateBody()).overlap
    row = await service.rotate_endpoint(session, caller.principal, integration_id, overlap, precondition)
    tag(row.revision)
    return _read(await service.view(session, row), resources.settings.public_url)


@router.get(
    "/integrations/{integration_id}/definition", response_class=Response, responses={200: {"content": {YAML: {}}}}
)
@requires("read")
async def definition(integration_id: str, session: Session) -> Response:
    """Read the draft as text."""
    row = await service.get(session, integration_id)
    return Response(row.draft_text, media_type=YAML, headers={"ETag": etag(row.revision)})


def _definition_text(body: Body) -> str | bytes:
    if body.content_type != JSON:
        return body.raw
    try:
        return DefinitionBody.model_validate(body.value).definition
    except ValidationError as error:
        raise invalid(error.errors(include_input=False, include_url=False)) from None


def _read(view: IntegrationView, public_url: str) -> IntegrationRead:
    row, latest = view.row, view.latest
    return IntegrationRead(
        id=row.id,
        key=row.key,
        name=row.name,
        description=row.description,
        category=row.category,
        labels=row.labels,
        latest_version=VersionRef(id=latest.id, number=latest.number) if latest else None,
        has_unpublished_changes=view.has_unpublished_changes,
        instance_count=view.instance_count,
        endpoint=EndpointRead.of("shared_instance", row, public_url) if row.token is not None else None,
        marketplace=None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _item(problem: Problem) -> ProblemItem:
    return ProblemItem.model_validate(asdict(problem))
