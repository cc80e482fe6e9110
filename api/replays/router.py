"""`/v1/replays`."""

from functools import partial
from typing import Annotated

from fastapi import Query, Request, Response

from api.deps import AfterCommit, CallerDep, PagerDep, ResourcesDep, Session
from api.executions import service as executions
from api.executions.router import read
from api.idempotency import HEADER
from api.paging import Listing
from api.replays import service
from api.replays.schemas import ItemQuery, ReplayCreate, ReplayItemRead, ReplayQuery, ReplayRead, ReplaySampleRead
from api.routing import requires, v1_router
from api.strict import JSON
from domain.errors import MalformedBody

router = v1_router("replays")

KEY_REQUIRED = "idempotency_key_required"


@router.post(
    "/replays",
    status_code=202,
    response_model=ReplayRead,
    responses={200: {"model": ReplaySampleRead, "description": "A dry run: nothing has changed"}},
)
@requires("execute")
async def start(
    body: ReplayCreate,
    request: Request,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    response: Response,
) -> ReplayRead | Response:
    """Replay many executions. Needs an Idempotency-Key, but for a `dry_run`, which only says (200) what matches."""
    wanted = body.wanted()
    if body.dry_run:
        matched, views = await service.preview(session, wanted)
        expiries = await executions.expiries(session, resources.settings.retention, views)
        told = ReplaySampleRead(matched=matched, sample=[read(resources, expiries, view) for view in views])
        return Response(told.model_dump_json(), media_type=JSON)
    if HEADER not in request.headers:
        raise MalformedBody("This needs an Idempotency-Key: sent twice, it must not happen twice.", code=KEY_REQUIRED)
    view = await service.start(session, caller.principal, wanted)
    after_commit.append(partial(resources.gateway.start_job, view.job))
    response.headers["Location"] = f"/v1/replays/{view.row.id}"
    return ReplayRead.of_view(view)


@router.get("/replays")
@requires("read")
async def list_(query: Annotated[ReplayQuery, Query()], session: Session, pager: PagerDep) -> Listing[ReplayRead]:
    """List replays of many executions, newest first."""
    views = await service.find(session, query.state, pager.page)
    return pager.listing(views, ReplayRead.of_view, lambda view: view.row.id)


@router.get("/replays/{replay_id}")
@requires("read")
async def get(replay_id: str, session: Session) -> ReplayRead:
    """Read how far it has come."""
    return ReplayRead.of_view(await service.get(session, replay_id))


@router.get("/replays/{replay_id}/items")
@requires("read")
async def items(
    replay_id: str, query: Annotated[ItemQuery, Query()], session: Session, pager: PagerDep
) -> Listing[ReplayItemRead]:
    """List what has become of each execution, in the order of their turns."""
    await service.get(session, replay_id)
    found = await service.find_items(session, replay_id, query.status, pager.page)
    return pager.listing(found, ReplayItemRead.of, lambda item: str(item.row.position))


@router.post("/replays/{replay_id}/pause")
@requires("execute")
async def pause(
    replay_id: str, session: Session, caller: CallerDep, resources: ResourcesDep, after_commit: AfterCommit
) -> ReplayRead:
    """Begin no other one. What runs goes on."""
    view = await service.pause(session, caller.principal, replay_id)
    after_commit.append(partial(resources.gateway.start_job, view.job))
    return ReplayRead.of_view(view)


@router.post("/replays/{replay_id}/resume")
@requires("execute")
async def resume(
    replay_id: str, session: Session, caller: CallerDep, resources: ResourcesDep, after_commit: AfterCommit
) -> ReplayRead:
    """Go on after a pause."""
    view = await service.resume(session, caller.principal, replay_id)
    after_commit.append(partial(resources.gateway.start_job, view.job))
    return ReplayRead.of_view(view)


@router.post("/replays/{replay_id}/abort")
@requires("execute")
async def abort(
    replay_id: str, session: Session, caller: CallerDep, resources: ResourcesDep, after_commit: AfterCommit
) -> ReplayRead:
    """End it here. What runs goes on, the rest is left as it is."""
    view = await service.abort(session, caller.principal, replay_id)
    after_commit.append(partial(resources.gateway.start_job, view.job))
    return ReplayRead.of_view(view)
