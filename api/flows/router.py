"""`/v1/flows` and `/v1/instances/{id}/flows`."""

from functools import partial

from api.deps import CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.endpoints import RotateBody
from api.flows import service
from api.flows.schemas import FlowKeyCreate, FlowKeyCreated, FlowKeyRead, FlowRead
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("flows")


@router.get("/instances/{instance_id}/flows")
@requires("read")
async def list_(instance_id: str, session: Session, pager: PagerDep, resources: ResourcesDep) -> Listing[FlowRead]:
    """List an instance's flows, in definition order."""
    views = await service.of_instance(session, instance_id, pager.page)
    read = partial(FlowRead.of, public_url=resources.settings.public_url)
    return pager.listing(views, read, lambda view: view.row.id)


@router.get("/flows/{flow_id}")
@requires("read")
async def get(flow_id: str, session: Session, resources: ResourcesDep, tag: EtagDep) -> FlowRead:
    """Read a flow."""
    view = await service.get(session, flow_id)
    tag(view.row.revision)
    return FlowRead.of(view, resources.settings.public_url)


@router.post("/flows/{flow_id}/rotate_url")
@requires("write")
async def rotate_url(
    flow_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    body: RotateBody | None = None,
) -> FlowRead:
    """Give the flow another webhook URL of its own; the old one answers 410, at once or after the overlap."""
    overlap = (body or RotateBody()).overlap
    view = await service.rotate_url(session, caller.principal, flow_id, overlap, precondition)
    tag(view.row.revision)
    return FlowRead.of(view, resources.settings.public_url)


@router.post("/flows/{flow_id}/api_keys", status_code=201)
@requires("write")
async def create_api_key(
    flow_id: str, session: Session, caller: CallerDep, body: FlowKeyCreate | None = None
) -> FlowKeyCreated:
    """Create a key for the callers of this flow. The answer is the only place where it is shown."""
    row, key = await service.add_api_key(session, caller.principal, flow_id, body.name if body else None)
    return FlowKeyCreated(key=key, **FlowKeyRead.of(row).model_dump())


@router.get("/flows/{flow_id}/api_keys")
@requires("read")
async def list_api_keys(flow_id: str, session: Session, pager: PagerDep) -> Listing[FlowKeyRead]:
    """List a flow's keys, newest first."""
    rows = await service.find_api_keys(session, flow_id, pager.page)
    return pager.listing(rows, FlowKeyRead.of, lambda row: row.id)


@router.delete("/flows/{flow_id}/api_keys/{key_id}", status_code=204)
@requires("write")
async def delete_api_key(flow_id: str, key_id: str, session: Session, caller: CallerDep) -> None:
    """Delete a key: callers that send it are refused from now on."""
    await service.delete_api_key(session, caller.principal, flow_id, key_id)
