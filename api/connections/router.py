"""`/v1/connections`: reusable connections."""

from functools import partial
from typing import Annotated

from fastapi import Query

from api.connections import authorizing, service, testing
from api.connections.schemas import (
    AuthorizationRead,
    AuthorizeBody,
    ConnectionCreate,
    ConnectionQuery,
    ConnectionRead,
    ConnectionTestRead,
    ConnectionUpdate,
    TokensBody,
)
from api.deps import AfterCommit, CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("connections")


@router.post("/connections", status_code=201)
@requires("write")
async def create(
    body: ConnectionCreate, session: Session, caller: CallerDep, resources: ResourcesDep, tag: EtagDep
) -> ConnectionRead:
    """Create a connection that several instances can use."""
    view = await service.create(session, resources.vault, caller.principal, body.model_dump())
    tag(view.row.revision)
    return ConnectionRead.of(view)


@router.get("/connections")
@requires("read")
async def list_(
    query: Annotated[ConnectionQuery, Query()], session: Session, pager: PagerDep, resources: ResourcesDep
) -> Listing[ConnectionRead]:
    """List reusable connections, newest first."""
    views = await service.find(session, resources.vault, query.wanted(), pager.page)
    return pager.listing(views, ConnectionRead.of, lambda view: view.row.id)


@router.get("/connections/{connection_id}")
@requires("read")
async def get(connection_id: str, session: Session, resources: ResourcesDep, tag: EtagDep) -> ConnectionRead:
    """Read a reusable connection. Secrets never come back."""
    view = await service.get(session, resources.vault, connection_id)
    tag(view.row.revision)
    return ConnectionRead.of(view)


@router.patch("/connections/{connection_id}")
@requires("write")
async def update(
    connection_id: str,
    body: ConnectionUpdate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> ConnectionRead:
    """Change what is given: from the next step on, in every instance that uses it."""
    changes = body.changes()
    view = await service.update(session, resources.vault, caller.principal, connection_id, changes, precondition)
    tag(view.row.revision)
    return ConnectionRead.of(view)


@router.delete("/connections/{connection_id}", status_code=204)
@requires("write")
async def delete(connection_id: str, session: Session, caller: CallerDep, precondition: PreconditionDep) -> None:
    """Delete a reusable connection that no instance uses."""
    await service.delete(session, caller.principal, connection_id, precondition)


@router.post("/connections/{connection_id}/authorize")
@requires("write")
async def authorize(
    connection_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    body: AuthorizeBody | None = None,
) -> AuthorizationRead:
    """Begin to authorise an OAuth connection: open `authorize_url` in a browser."""
    target = await service.target(session, resources.vault, connection_id)
    wanted = (body or AuthorizeBody()).redirect_to
    begun = await authorizing.authorize(session, resources.vault, resources.settings, caller.principal, target, wanted)
    return AuthorizationRead.of(begun)


@router.post("/connections/{connection_id}/test")
@requires("write", detached=True)
async def test(connection_id: str, caller: CallerDep, resources: ResourcesDep) -> ConnectionTestRead:
    """Try it out: an OAuth connection gets a new token."""
    async with resources.database.glance() as session:
        await service.reusable(session, connection_id)
    return ConnectionTestRead.of(await testing.try_out(resources, caller.principal, connection_id))


@router.post("/connections/{connection_id}/disconnect")
@requires("write")
async def disconnect(
    connection_id: str, session: Session, caller: CallerDep, resources: ResourcesDep, after_commit: AfterCommit
) -> ConnectionRead:
    """Forget its tokens, everywhere it is used, and revoke them at the provider where that is possible."""
    row = await service.reusable(session, connection_id, for_update=True)
    ended = await authorizing.disconnect(session, resources.vault, caller.principal, row)
    if ended is not None:
        after_commit.append(partial(testing.revoke, resources.http, ended))
    return ConnectionRead.of(await service.get(session, resources.vault, connection_id))


@router.put("/connections/{connection_id}/tokens")
@requires("write")
async def import_tokens(
    connection_id: str, body: TokensBody, session: Session, caller: CallerDep, resources: ResourcesDep
) -> ConnectionRead:
    """Take over tokens that were got elsewhere with the same client."""
    target = await service.target(session, resources.vault, connection_id)
    await authorizing.import_tokens(session, resources.vault, caller.principal, target, body.answer())
    return ConnectionRead.of(await service.get(session, resources.vault, connection_id))
