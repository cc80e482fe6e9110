"""`/v1/monitors`."""

from typing import Annotated

from fastapi import Query

from api import targets
from api.deps import AfterCommit, CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.monitors import service
from api.monitors.schemas import MonitorCreate, MonitorQuery, MonitorRead, MonitorTestRead, MonitorUpdate
from api.monitors.service import MonitorView
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("monitors")


@router.post("/monitors", status_code=201)
@requires("write")
async def create(
    body: MonitorCreate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    tag: EtagDep,
) -> MonitorRead:
    """Create a monitor. The secrets of its webhooks are shown now and never again."""
    values, wanted = body.columns(), [targets.of_body(each) for each in body.notify]
    view = await service.create(session, resources.vault, caller.principal, values, wanted)
    after_commit.append(resources.outbox.refresh)
    tag(view.row.revision)
    return _read(view)


@router.get("/monitors")
@requires("read")
async def list_(query: Annotated[MonitorQuery, Query()], session: Session, pager: PagerDep) -> Listing[MonitorRead]:
    """List monitors, newest first."""
    views = await service.find(session, query.wanted(), pager.page)
    return pager.listing(views, _read, lambda view: view.row.id)


@router.get("/monitors/{monitor_id}")
@requires("read")
async def get(monitor_id: str, session: Session, tag: EtagDep) -> MonitorRead:
    """Read a monitor."""
    view = await service.get(session, monitor_id)
    tag(view.row.revision)
    return _read(view)


@router.patch("/monitors/{monitor_id}")
@requires("write")
async def update(
    monitor_id: str,
    body: MonitorUpdate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> MonitorRead:
    """Change the fields given. `notify` is replaced whole, and enabled again where it was disabled."""
    columns, wanted = body.columns(), None
    if "notify" in body.model_fields_set:
        wanted = [targets.of_body(each) for each in body.notify]
    view = await service.update(session, resources.vault, caller.principal, monitor_id, columns, wanted, precondition)
    after_commit.append(resources.outbox.refresh)
    tag(view.row.revision)
    return _read(view)


@router.delete("/monitors/{monitor_id}", status_code=204)
@requires("write")
async def delete(
    monitor_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    precondition: PreconditionDep,
) -> None:
    """Delete a monitor. Its alerts stay; messages that have not arrived are not sent any more."""
    await service.delete(session, caller.principal, monitor_id, precondition)
    after_commit.append(resources.outbox.refresh)


@router.post("/monitors/{monitor_id}/clear")
@requires("write")
async def clear(monitor_id: str, session: Session, caller: CallerDep) -> MonitorRead:
    """Take note: it is no longer triggered, until it fires again."""
    return _read(await service.clear(session, caller.principal, monitor_id))


@router.post("/monitors/{monitor_id}/test", status_code=202)
@requires("write")
async def test(monitor_id: str, session: Session, caller: CallerDep, resources: ResourcesDep) -> MonitorTestRead:
    """Send a test to all its targets. `GET /v1/alerts/{alert_id}` tells what has arrived."""
    alert_id = await service.test(session, resources.settings.public_url, caller.principal, monitor_id)
    sent = await targets.of_alert(session, alert_id)
    return MonitorTestRead(alert_id=alert_id, deliveries=sent)


def _read(view: MonitorView) -> MonitorRead:
    return MonitorRead.of(view.row, view.targets, view.shown)
