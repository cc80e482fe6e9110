"""`…/state` of executions, flows, instances and integrations: the same five calls for each."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends

from api.deps import CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.paging import Listing
from api.resources import Resources
from api.routing import requires, v1_router
from api.state import service
from api.state.schemas import StatePut, StateRead
from api.state.service import Owner
from store.state import Row

SHOWN = 64 * 1024  # bytes; a larger value is fetched by itself

router = v1_router("state")


def add_routes(router: APIRouter, noun: str, find: Callable[..., Awaitable[Owner]]) -> None:
    """`find` is a dependency: it takes the owner's id from the path."""
    path = f"/{noun}s/{{{noun}_id}}/state"

    @router.get(path, name=f"list_{noun}")
    @requires("read")
    async def list_(
        owner: Annotated[Owner, Depends(find)], session: Session, resources: ResourcesDep, pager: PagerDep
    ) -> Listing[StateRead]:
        """List what is kept, in the order of the keys."""
        rows = await service.find(session, owner, pager.page)
        return pager.listing(rows, partial(_shown, resources, owner), lambda row: row.key)

    @router.delete(path, status_code=204, name=f"clear_{noun}")
    @requires("write")
    async def clear(owner: Annotated[Owner, Depends(find)], session: Session, caller: CallerDep) -> None:
        """Forget all of it."""
        await service.clear(session, caller.principal, owner)

    @router.get(f"{path}/{{key:path}}", name=f"get_{noun}")
    @requires("read")
    async def get(
        key: str, owner: Annotated[Owner, Depends(find)], session: Session, resources: ResourcesDep, tag: EtagDep
    ) -> StateRead:
        """Read a value. Its ETag moves with every write, also of a step."""
        row = await service.get(session, owner, key)
        tag(row.revision)
        return StateRead.of(owner.place, row, service.open_value(resources.keyring, owner, row))

    @router.put(f"{path}/{{key:path}}", name=f"put_{noun}")
    @requires("write")
    async def put(
        key: str,
        body: StatePut,
        owner: Annotated[Owner, Depends(find)],
        session: Session,
        caller: CallerDep,
        resources: ResourcesDep,
        precondition: PreconditionDep,
        tag: EtagDep,
    ) -> StateRead:
        """Set a value."""
        row = await service.put(session, resources.keyring, caller.principal, owner, key, body.value, precondition)
        tag(row.revision)
        return StateRead.of(owner.place, row, body.value)

    @router.delete(f"{path}/{{key:path}}", status_code=204, name=f"delete_{noun}")
    @requires("write")
    async def delete(
        key: str,
        owner: Annotated[Owner, Depends(find)],
        session: Session,
        caller: CallerDep,
        precondition: PreconditionDep,
    ) -> None:
        """Forget a value."""
        await service.delete(session, caller.principal, owner, key, precondition)


def _shown(resources: Resources, owner: Owner, row: Row) -> StateRead:
    truncated = row.size > SHOWN
    value = None if truncated else service.open_value(resources.keyring, owner, row)
    return StateRead.of(owner.place, row, value, truncated=truncated)


async def _of_execution(execution_id: str, session: Session) -> Owner:
    return await service.of_execution(session, execution_id)


async def _of_flow(flow_id: str, session: Session) -> Owner:
    return await service.of_flow(session, flow_id)


async def _of_instance(instance_id: str, session: Session) -> Owner:
    return await service.of_instance(session, instance_id)


async def _of_integration(integration_id: str, session: Session) -> Owner:
    return await service.of_integration(session, integration_id)


add_routes(router, "execution", _of_execution)
add_routes(router, "flow", _of_flow)
add_routes(router, "instance", _of_instance)
add_routes(router, "integration", _of_integration)
