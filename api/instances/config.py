"""`/v1/instances/{id}/config`. Its ETag is its own."""

from api.deps import CallerDep, EtagDep, PreconditionDep, ResourcesDep, Session
from api.instances import config_service as service
from api.instances.config_schemas import ConfigChange, ConfigRead, View
from api.routing import requires, v1_router

router = v1_router("instances")


@router.get("/instances/{instance_id}/config")
@requires("read")
async def get_config(
    instance_id: str, session: Session, resources: ResourcesDep, tag: EtagDep, view: View = None
) -> ConfigRead:
    """Read the configuration. Secrets never come back, only whether they are set."""
    found = await service.get(session, resources.vault, instance_id, for_customer=view == "customer")
    tag(found.row.config_revision)
    return ConfigRead.of(found)


@router.patch("/instances/{instance_id}/config")
@requires("write")
async def change_config(
    instance_id: str,
    body: ConfigChange,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    view: View = None,
) -> ConfigRead:
    """Change the values given; null goes back to the default."""
    found = await service.change(
        session,
        resources.vault,
        caller.principal,
        instance_id,
        body.values,
        precondition,
        for_customer=view == "customer",
    )
    tag(found.row.config_revision)
    return ConfigRead.of(found)


@router.put("/instances/{instance_id}/config")
@requires("write")
async def replace_config(
    instance_id: str,
    body: ConfigChange,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    view: View = None,
) -> ConfigRead:
    """Replace all values; what is not given, secrets too, goes back to the default."""
    found = await service.change(
        session,
        resources.vault,
        caller.principal,
        instance_id,
        body.values,
        precondition,
        replace=True,
        for_customer=view == "customer",
    )
    tag(found.row.config_revision)
    return ConfigRead.of(found)
