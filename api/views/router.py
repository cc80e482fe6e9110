"""`/v1/views`."""

from typing import Annotated

from fastapi import Query

from api.deps import CallerDep, EtagDep, PagerDep, PreconditionDep, Session
from api.paging import Listing
from api.routing import requires, v1_router
from api.views import service
from api.views.schemas import ViewCreate, ViewQuery, ViewRead, ViewUpdate, ensure_query

router = v1_router("views")


@router.post("/views", status_code=201)
@requires("write")
async def create(body: ViewCreate, session: Session, caller: CallerDep, tag: EtagDep) -> ViewRead:
    """Save a list's filters under a name."""
    ensure_query(body.resource, body.query)
    row = await service.create(session, caller.principal, body.model_dump())
    tag(row.revision)
    return ViewRead.of(row)


@router.get("/views")
@requires("read")
async def list_(query: Annotated[ViewQuery, Query()], session: Session, pager: PagerDep) -> Listing[ViewRead]:
    """List saved views, newest first."""
    rows = await service.find(session, query.resource, query.name, pager.page)
    return pager.listing(rows, ViewRead.of, lambda row: row.id)


@router.get("/views/{view_id}")
@requires("read")
async def get(view_id: str, session: Session, tag: EtagDep) -> ViewRead:
    """Read a saved view."""
    row = await service.get(session, view_id)
    tag(row.revision)
    return ViewRead.of(row)


@router.patch("/views/{view_id}")
@requires("write")
async def update(
    view_id: str,
    body: ViewUpdate,
    session: Session,
    caller: CallerDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> ViewRead:
    """Change the fields given; a query is replaced whole."""
    row = await service.get(session, view_id, for_update=True)
    changes = body.changes()
    if "query" in changes:
        ensure_query(row.resource, changes["query"])
    await service.update(session, caller.principal, row, changes, precondition)
    tag(row.revision)
    return ViewRead.of(row)


@router.delete("/views/{view_id}", status_code=204)
@requires("write")
async def delete(view_id: str, session: Session, caller: CallerDep, precondition: PreconditionDep) -> None:
    """Forget a saved view."""
    await service.delete(session, caller.principal, view_id, precondition)
