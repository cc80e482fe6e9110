"""`/v1/event_endpoints` and `/v1/event_deliveries`."""

from datetime import timedelta
from typing import Annotated

from fastapi import Query

from api import targets
from api.deps import AfterCommit, CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.event_endpoints import service
from api.event_endpoints.schemas import (
    DeliveryQuery,
    EventEndpointCreate,
    EventEndpointRead,
    EventEndpointUpdate,
    RotateBody,
)
from api.event_endpoints.service import EndpointView
from api.paging import Listing
from api.routing import requires, v1_router
from api.target_shapes import DeliveryRead

router = v1_router("event_endpoints")
deliveries = v1_router("event_deliveries")


@router.post("/event_endpoints", status_code=201)
@requires("write")
async def create(
    body: EventEndpointCreate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    tag: EtagDep,
) -> EventEndpointRead:
    """Create an endpoint that hears of events. Its secret is shown now and never again."""
    values = {name: getattr(body, name) for name in ("name", "description", "events", "enabled")}
    secret = body.secret.get_secret_value() if body.secret else None
    wanted = service.wanted(body.url, targets.revealed(body.headers), secret)
    view = await service.create(session, resources.vault, caller.principal, values, wanted)
    after_commit.append(resources.outbox.refresh)
    tag(view.row.revision)
    return _read(view)


@router.get("/event_endpoints")
@requires("read")
async def list_(session: Session, pager: PagerDep) -> Listing[EventEndpointRead]:
    """List event endpoints, newest first."""
    views = await service.find(session, pager.page)
    return pager.listing(views, _read, lambda view: view.row.id)


@router.get("/event_endpoints/{endpoint_id}")
@requires("read")
async def get(endpoint_id: str, session: Session, tag: EtagDep) -> EventEndpointRead:
    """Read an event endpoint."""
    view = await service.get(session, endpoint_id)
    tag(view.row.revision)
    return _read(view)


@router.patch("/event_endpoints/{endpoint_id}")
@requires("write")
async def update(
    endpoint_id: str,
    body: EventEndpointUpdate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> EventEndpointRead:
    """Change the fields given."""
    changes = body.changes()
    if "headers" in changes:
        changes["headers"] = targets.revealed(body.headers)
    view = await service.update(session, resources.vault, caller.principal, endpoint_id, changes, precondition)
    after_commit.append(resources.outbox.refresh)
    tag(view.row.revision)
    return _read(view)


@router.delete("/event_endpoints/{endpoint_id}", status_code=204)
@requires("write")
async def delete(
    endpoint_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    precondition: PreconditionDep,
) -> None:
    """Delete an event endpoint. What has not arrived is not sent any more."""
    await service.delete(session, caller.principal, endpoint_id, precondition)
    after_commit.append(resources.outbox.refresh)


@router.post("/event_endpoints/{endpoint_id}/rotate_secret")
@requires("write")
async def rotate_secret(
    endpoint_id: str, session: Session, caller: CallerDep, resources: ResourcesDep, body: RotateBody | None = None
) -> EventEndpointRead:
    """A new secret, shown once. For the overlap messages carry a signature with each."""
    overlap = timedelta(seconds=(body or RotateBody()).overlap_seconds)
    return _read(await service.rotate_secret(session, resources.vault, caller.principal, endpoint_id, overlap))


@router.post("/event_endpoints/{endpoint_id}/test", status_code=202)
@requires("write")
async def test(endpoint_id: str, session: Session, caller: CallerDep) -> DeliveryRead:
    """Send a test event, also to an endpoint that is disabled."""
    row = await service.test(session, caller.principal, endpoint_id)
    return (await targets.shown(session, [row]))[0]


@router.get("/event_endpoints/{endpoint_id}/deliveries")
@requires("read")
async def list_deliveries(
    endpoint_id: str, query: Annotated[DeliveryQuery, Query()], session: Session, pager: PagerDep
) -> Listing[DeliveryRead]:
    """List what was sent to it, newest first, with every attempt."""
    rows = await service.find_deliveries(session, endpoint_id, query.state, pager.page)
    read = {each.id: each for each in await targets.shown(session, rows)}
    return pager.listing(rows, lambda row: read[row.id], lambda row: row.id)


@deliveries.post("/event_deliveries/{delivery_id}/resend", status_code=202)
@requires("write")
async def resend(delivery_id: str, session: Session, caller: CallerDep) -> DeliveryRead:
    """Send it again, under the same `webhook-id`."""
    row = await service.resend(session, caller.principal, delivery_id)
    return (await targets.shown(session, [row]))[0]


def _read(view: EndpointView) -> EventEndpointRead:
    return EventEndpointRead.of(view.row, view.target, view.secret)
