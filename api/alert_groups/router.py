"""`/v1/alert_groups`."""

from typing import Annotated

from fastapi import Query

from api import targets
from api.alert_groups import service
from api.alert_groups.schemas import AlertGroupCreate, AlertGroupQuery, AlertGroupRead, AlertGroupUpdate
from api.alert_groups.service import AlertGroupView, Members
from api.deps import CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("alert_groups")


@router.post("/alert_groups", status_code=201)
@requires("write")
async def create(
    body: AlertGroupCreate, session: Session, caller: CallerDep, resources: ResourcesDep, tag: EtagDep
) -> AlertGroupRead:
    """Create a group that monitors can tell. The secrets of its webhooks are shown now and never again."""
    members = Members(body.emails, [targets.of_webhook(each) for each in body.webhooks])
    view = await service.create(session, resources.vault, caller.principal, body.name, members)
    tag(view.row.revision)
    return _read(view)


@router.get("/alert_groups")
@requires("read")
async def list_(
    query: Annotated[AlertGroupQuery, Query()], session: Session, pager: PagerDep
) -> Listing[AlertGroupRead]:
    """List alert groups, newest first."""
    views = await service.find(session, query.name, pager.page)
    return pager.listing(views, _read, lambda view: view.row.id)


@router.get("/alert_groups/{group_id}")
@requires("read")
async def get(group_id: str, session: Session, tag: EtagDep) -> AlertGroupRead:
    """Read an alert group."""
    view = await service.get(session, group_id)
    tag(view.row.revision)
    return _read(view)


@router.patch("/alert_groups/{group_id}")
@requires("write")
async def update(
    group_id: str,
    body: AlertGroupUpdate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> AlertGroupRead:
    """Change the fields given; a list is replaced whole. Targets that were disabled are enabled again."""
    given = body.changes()
    webhooks = [targets.of_webhook(each) for each in body.webhooks] if "webhooks" in given else None
    members = Members(given.get("emails"), webhooks)
    view = await service.update(
        session, resources.vault, caller.principal, group_id, given.get("name"), members, precondition
    )
    tag(view.row.revision)
    return _read(view)


@router.delete("/alert_groups/{group_id}", status_code=204)
@requires("write")
async def delete(group_id: str, session: Session, caller: CallerDep, precondition: PreconditionDep) -> None:
    """Delete a group. Monitors that told it tell it no more."""
    await service.delete(session, caller.principal, group_id, precondition)


def _read(view: AlertGroupView) -> AlertGroupRead:
    return AlertGroupRead.of(view.row, view.targets, view.shown)
