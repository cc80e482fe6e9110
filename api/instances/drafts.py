"""`/v1/instances/{id}/config/drafts` and the options of a field: what the configuration wizard needs besides."""

from fastapi import Response

from api.deps import CallerDep, EtagDep, PreconditionDep, ResourcesDep, Session
from api.instances import drafts_service as service
from api.instances import options_service
from api.instances.config_schemas import ConfigChange, ConfigRead, View
from api.instances.drafts_schemas import DraftRead, OptionRead
from api.paging import Listing, whole
from api.routing import requires, v1_router

router = v1_router("instances")


@router.get("/instances/{instance_id}/config/drafts")
@requires("read")
async def list_drafts(
    instance_id: str, session: Session, resources: ResourcesDep, view: View = None
) -> Listing[DraftRead]:
    """List drafts in the order of the pages. Secrets never come back, only whether they are set."""
    found = await service.find(session, resources.vault, instance_id, for_customer=view == "customer")
    return whole(found, DraftRead.of)


@router.put("/instances/{instance_id}/config/drafts/{page}")
@requires("write")
async def save_draft(
    instance_id: str,
    page: str,
    body: ConfigChange,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    view: View = None,
) -> DraftRead:
    """Keep values of one page, named or counted from 0, as a draft: each is checked, none takes effect."""
    saved = await service.save(
        session,
        resources.vault,
        caller.principal,
        instance_id,
        page,
        body.values,
        for_customer=view == "customer",
    )
    return DraftRead.of(saved)


@router.delete("/instances/{instance_id}/config/drafts/{page}", status_code=204)
@requires("write")
async def discard_draft(instance_id: str, page: str, session: Session, caller: CallerDep) -> Response:
    """Discard the draft of a page."""
    await service.discard(session, caller.principal, instance_id, page)
    return Response(status_code=204)


@router.post("/instances/{instance_id}/config/drafts/apply")
@requires("write")
async def apply_drafts(
    instance_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> ConfigRead:
    """Apply all drafts as one change of the configuration. They are gone then, and stay where it is refused."""
    found = await service.apply(session, resources.vault, caller.principal, instance_id, precondition)
    tag(found.row.config_revision)
    return ConfigRead.of(found)


@router.get("/instances/{instance_id}/config/fields/{key}/options")
@requires("execute", detached=True)
async def list_options(instance_id: str, key: str, resources: ResourcesDep) -> Listing[OptionRead]:
    """List what a field may be set to, at most 1,000: asked of its source now, with the values saved and drafted."""
    return whole(await options_service.find(resources, instance_id, key), OptionRead.of)
