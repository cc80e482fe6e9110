"""`/v1/labels`."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from api.deps import PagerDep, Session
from api.labels import service
from api.paging import Listing
from api.routing import requires, v1_router
from api.shapes import Filter

router = v1_router("labels")


class LabelQuery(Filter):
    resource: Literal["instances", "customers", "integrations"] = "instances"
    q: str | None = Field(None, description="How the label begins")


class LabelRead(BaseModel):
    label: str = Field(examples=["erp"])
    count: int = Field(description="How many bear it")


@router.get("/labels")
@requires("read")
async def list_(query: Annotated[LabelQuery, Query()], session: Session, pager: PagerDep) -> Listing[LabelRead]:
    """List the labels in use, in alphabetical order, to offer while one is typed."""
    found = await service.find(session, query.resource, (query.q or "").lower(), pager.page)
    return pager.listing(found, lambda use: LabelRead(label=use.label, count=use.count), lambda use: use.label)
