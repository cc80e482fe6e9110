"""`/v1/instances/{id}/connections`: the connection fields of an instance."""

from functools import partial

from api.connections import authorizing, testing
from api.connections import own_service as service
from api.connections.schemas import (
    AuthorizationRead,
    AuthorizeBody,
    ConnectionTestRead,
    FieldConnectionRead,
    TokensBody,
)
from api.deps import AfterCommit, CallerDep, ResourcesDep, Session
from api.paging import Listing, whole
from api.routing import requires, v1_router

router = v1_router("instances")


@router.get("/instances/{instance_id}/connections")
@requires("read")
async def list_connections(instance_id: str, session: Session, resources: ResourcesDep) -> Listing[FieldConnectionRead]:
    """List the instance's connections, in the order of its definition."""
    return whole(await service.find(session, resources.vault, instance_id), FieldConnectionRead.of)


@router.post("/instances/{instance_id}/connections/{key}/authorize")
@requires("write")
async def authorize_connection(
    instance_id: str,
    key: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    body: AuthorizeBody | None = None,
) -> AuthorizationRead:
    """Begin to authorise an OAuth connection: open `authorize_url` in a browser."""
    target = await service.target(session, resources.vault, instance_id, key)
    wanted = (body or AuthorizeBody()).redirect_to
    begun = await authorizing.authorize(session, resources.vault, resources.settings, caller.principal, target, wanted)
    return AuthorizationRead.of(begun)


@router.post("/instances/{instance_id}/connections/{key}/test")
@requires("write", detached=True)
async def test_connection(instance_id: str, key: str, caller: CallerDep, resources: ResourcesDep) -> ConnectionTestRead:
    """Try it out: an OAuth connection gets a new token, then the definition's check runs, if there is one."""
    return ConnectionTestRead.of(await testing.try_field(resources, caller.principal, instance_id, key))


@router.post("/instances/{instance_id}/connections/{key}/disconnect")
@requires("write")
async def disconnect_connection(
    instance_id: str,
    key: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
) -> FieldConnectionRead:
    """Forget its tokens, and revoke them at the provider where that is possible."""
    target = await service.target(session, resources.vault, instance_id, key)
    ended = await authorizing.disconnect(session, resources.vault, caller.principal, target.row)
    if ended is not None:
        after_commit.append(partial(testing.revoke, resources.http, ended))
    return FieldConnectionRead.of(await service.get(session, resources.vault, instance_id, key))


@router.put("/instances/{instance_id}/connections/{key}/tokens")
@requires("write")
async def import_connection_tokens(
    instance_id: str, key: str, body: TokensBody, session: Session, caller: CallerDep, resources: ResourcesDep
) -> FieldConnectionRead:
    """Take over tokens that were got elsewhere with the same client."""
    target = await service.target(session, resources.vault, instance_id, key)
    await authorizing.import_tokens(session, resources.vault, caller.principal, target, body.answer())
    return FieldConnectionRead.of(await service.get(session, resources.vault, instance_id, key))
