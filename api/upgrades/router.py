"""`/v1/integrations/{id}/upgrade` and `/v1/upgrades`."""

from functools import partial
from typing import Annotated

from fastapi import Query, Response

from api.deps import AfterCommit, CallerDep, PagerDep, ResourcesDep, Session
from api.paging import Listing
from api.routing import requires, v1_router
from api.shapes import VersionRef
from api.strict import JSON
from api.upgrades import service
from api.upgrades.preview import preview
from api.upgrades.schemas import ItemQuery, PreviewRead, UpgradeBody, UpgradeItemRead, UpgradeQuery, UpgradeRead

router = v1_router("upgrades")


@router.post(
    "/integrations/{integration_id}/upgrade",
    status_code=202,
    response_model=UpgradeRead,
    responses={200: {"model": PreviewRead, "description": "A dry run: nothing has changed"}},
)
@requires("write")
async def start(
    integration_id: str,
    body: UpgradeBody,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    response: Response,
) -> UpgradeRead | Response:
    """Move many instances to a version, ring by ring. With `dry_run` only say (200) what that would do."""
    wanted = body.wanted()
    if body.dry_run:
        matched = await service.match(session, integration_id, wanted)
        told = PreviewRead.of(await preview(session, resources.vault, matched, wanted))
        return Response(told.model_dump_json(by_alias=True), media_type=JSON)
    view = await service.start(session, caller.principal, integration_id, wanted)
    after_commit.append(partial(resources.gateway.start_job, view.job))
    response.headers["Location"] = f"/v1/upgrades/{view.row.id}"
    return UpgradeRead.of_view(view)


@router.get("/upgrades")
@requires("read")
async def list_(query: Annotated[UpgradeQuery, Query()], session: Session, pager: PagerDep) -> Listing[UpgradeRead]:
    """List upgrades, newest first."""
    views = await service.find(session, query.integration_id, query.state, pager.page)
    return pager.listing(views, UpgradeRead.of_view, lambda view: view.row.id)


@router.get("/upgrades/{upgrade_id}")
@requires("read")
async def get(upgrade_id: str, session: Session) -> UpgradeRead:
    """Read how far an upgrade has come."""
    return UpgradeRead.of_view(await service.get(session, upgrade_id))


@router.get("/upgrades/{upgrade_id}/items")
@requires("read")
async def items(
    upgrade_id: str, query: Annotated[ItemQuery, Query()], session: Session, pager: PagerDep
) -> Listing[UpgradeItemRead]:
    """List what has become of each instance, in the order of the rings."""
    view = await service.get(session, upgrade_id)
    to = VersionRef(id=view.row.version_id, number=view.version_number)
    found = await service.find_items(session, upgrade_id, query.status, pager.page)
    return pager.listing(found, lambda item: UpgradeItemRead.of(item, to), lambda item: str(item.row.position))


@router.post("/upgrades/{upgrade_id}/pause")
@requires("write")
async def pause(
    upgrade_id: str, session: Session, caller: CallerDep, resources: ResourcesDep, after_commit: AfterCommit
) -> UpgradeRead:
    """Begin no other instance, and stay at this ring. What is being deployed is finished."""
    view = await service.pause(session, caller.principal, upgrade_id)
    after_commit.append(partial(resources.gateway.start_job, view.job))
    return UpgradeRead.of_view(view)


@router.post("/upgrades/{upgrade_id}/resume")
@requires("write")
async def resume(
    upgrade_id: str, session: Session, caller: CallerDep, resources: ResourcesDep, after_commit: AfterCommit
) -> UpgradeRead:
    """Go on after a pause."""
    view = await service.resume(session, caller.principal, upgrade_id)
    after_commit.append(partial(resources.gateway.start_job, view.job))
    return UpgradeRead.of_view(view)


@router.post("/upgrades/{upgrade_id}/abort")
@requires("write")
async def abort(
    upgrade_id: str, session: Session, caller: CallerDep, resources: ResourcesDep, after_commit: AfterCommit
) -> UpgradeRead:
    """End it here. What is upgraded stays so, the rest is left as it is."""
    view = await service.abort(session, caller.principal, upgrade_id)
    after_commit.append(partial(resources.gateway.start_job, view.job))
    return UpgradeRead.of_view(view)
