"""`/v1/log_streams`."""

from functools import partial
from typing import Annotated

from fastapi import Query

from api.deps import AfterCommit, CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.log_streams import service
from api.log_streams.schemas import LogStreamCreate, LogStreamQuery, LogStreamRead, LogStreamUpdate, TrialRead
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("log_streams")


@router.post("/log_streams", status_code=201)
@requires("write")
async def create(
    body: LogStreamCreate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    tag: EtagDep,
    after_commit: AfterCommit,
) -> LogStreamRead:
    """Send log lines on to another system, from now on."""
    values = body.model_dump(exclude={"headers"})
    row = await service.create(session, resources.vault, caller.principal, values, _shown(body))
    tag(row.revision)
    after_commit.append(partial(resources.gateway.start_log_stream, row.id))
    return LogStreamRead.of(row)


@router.get("/log_streams")
@requires("read")
async def list_(query: Annotated[LogStreamQuery, Query()], session: Session, pager: PagerDep) -> Listing[LogStreamRead]:
    """List log streams, newest first."""
    rows = await service.find(session, query.wanted(), pager.page)
    return pager.listing(rows, LogStreamRead.of, lambda row: row.id)


@router.get("/log_streams/{stream_id}")
@requires("read")
async def get(stream_id: str, session: Session, tag: EtagDep) -> LogStreamRead:
    """Read a log stream, with how far it is and what its target said last."""
    row = await service.get(session, stream_id)
    tag(row.revision)
    return LogStreamRead.of(row)


@router.patch("/log_streams/{stream_id}")
@requires("write")
async def update(
    stream_id: str,
    body: LogStreamUpdate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    after_commit: AfterCommit,
) -> LogStreamRead:
    """Change the fields given. What has failed is tried again at once."""
    changes = body.changes()
    headers = _shown(body) if changes.pop("headers", None) is not None else None
    row = await service.update(session, resources.vault, caller.principal, stream_id, changes, headers, precondition)
    tag(row.revision)
    after_commit.append(partial(resources.gateway.start_log_stream, row.id))
    return LogStreamRead.of(row)


@router.delete("/log_streams/{stream_id}", status_code=204)
@requires("write")
async def delete(stream_id: str, session: Session, caller: CallerDep, precondition: PreconditionDep) -> None:
    """Send no more. What has not been sent is not sent."""
    await service.delete(session, caller.principal, stream_id, precondition)


@router.post("/log_streams/{stream_id}/test")
@requires("write", detached=True)
async def test(stream_id: str, caller: CallerDep, resources: ResourcesDep) -> TrialRead:
    """Send a sample line at once, and say what the target answered."""
    return TrialRead.of(await service.try_out(resources, caller.principal, stream_id))


def _shown(body: LogStreamCreate | LogStreamUpdate) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in body.headers.items()}
