"""`/v1/instances/{id}/rotate_endpoint`."""

from api.deps import CallerDep, EtagDep, PreconditionDep, ResourcesDep, Session
from api.endpoints import RotateBody
from api.instances import endpoint_service, service
from api.instances.schemas import InstanceRead
from api.routing import requires, v1_router

router = v1_router("instances")


@router.post("/instances/{instance_id}/rotate_endpoint")
@requires("write")
async def rotate_endpoint(
    instance_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    body: RotateBody | None = None,
) -> InstanceRead:
    """Give the instance's endpoint another URL; the old one answers 410, at once or after the overlap."""
    overlap = (body or RotateBody()).overlap
    await endpoint_service.rotate_endpoint(session, caller.principal, instance_id, overlap, precondition)
    shown = await service.get(session, instance_id)
    tag(shown.view.row.revision)
    return InstanceRead.of(shown, resources.settings.public_url)
