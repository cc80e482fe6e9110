"""`/v1/instances`."""

from functools import partial
from typing import Annotated

from fastapi import Query

from api.deps import AfterCommit, CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.instances import lifecycle_service, service
from api.instances.schemas import EventRead, InstanceCreate, InstanceQuery, InstanceRead, InstanceUpdate
from api.paging import Listing
from api.routing import requires, v1_router
from api.shapes import DeletionRead

router = v1_router("instances")


@router.post("/instances", status_code=201)
@requires("write")
async def create(
    body: InstanceCreate, session: Session, caller: CallerDep, resources: ResourcesDep, tag: EtagDep
) -> InstanceRead:
    """Create an instance of an integration for a customer. It is not deployed yet."""
    values = body.model_dump(exclude={"config"})
    shown = await service.create(session, resources.vault, caller.principal, values, body.config)
    tag(shown.view.row.revision)
    return InstanceRead.of(shown, resources.settings.public_url)


@router.get("/instances")
@requires("read")
async def list_(
    query: Annotated[InstanceQuery, Query()], session: Session, pager: PagerDep, resources: ResourcesDep
) -> Listing[InstanceRead]:
    """List instances of all customers, newest first or sorted."""
    order = query.order()
    shown = await service.find(session, query.wanted(), pager.page, order)
    read = partial(InstanceRead.of, public_url=resources.settings.public_url)
    return pager.listing(shown, read, lambda each: order.key(each.view) if order else each.view.row.id)


@router.get("/instances/{instance_id}")
@requires("read")
async def get(instance_id: str, session: Session, resources: ResourcesDep, tag: EtagDep) -> InstanceRead:
    """Read an instance."""
    shown = await service.get(session, instance_id)
    tag(shown.view.row.revision)
    return InstanceRead.of(shown, resources.settings.public_url)


@router.patch("/instances/{instance_id}")
@requires("write")
async def update(
    instance_id: str,
    body: InstanceUpdate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> InstanceRead:
    """Change the fields given. Another version takes effect at the next deploy."""
    shown = await service.update(session, resources.vault, caller.principal, instance_id, body.changes(), precondition)
    tag(shown.view.row.revision)
    return InstanceRead.of(shown, resources.settings.public_url)


@router.delete("/instances/{instance_id}", status_code=202)
@requires("write")
async def delete(
    instance_id: str,
    session: Session,
    caller: CallerDep,
    precondition: PreconditionDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    confirm_name: Annotated[str | None, Query(description="The instance's exact name")] = None,
) -> DeletionRead:
    """Delete an instance with its executions, logs and secrets; its webhook URLs answer 410 from now on."""
    job = await lifecycle_service.delete(session, caller.principal, instance_id, confirm_name, precondition)
    after_commit.append(partial(resources.gateway.start_job, job))
    return DeletionRead(id=instance_id, job_id=job.id, state="deleting")


@router.get("/instances/{instance_id}/events")
@requires("read")
async def list_events(instance_id: str, session: Session, pager: PagerDep) -> Listing[EventRead]:
    """List who did what to the instance, newest first."""
    rows = await service.find_events(session, instance_id, pager.page)
    return pager.listing(rows, EventRead.of, lambda row: row.id)
