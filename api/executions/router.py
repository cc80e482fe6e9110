"""`/v1/executions`."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import Query, Response
from fastapi.responses import StreamingResponse

from activities.payloads import Payload
from api.deps import AfterCommit, CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.executions import editing, service
from api.executions.schemas import (
    CancelRead,
    ExecutionDetail,
    ExecutionLink,
    ExecutionQuery,
    ExecutionRead,
    ExecutionUpdate,
    Expiry,
    PayloadRead,
    PreviewQuery,
    ReplayCreate,
    ReplayPreviewRead,
    Started,
    StepForecastRead,
)
from api.logs import service as logs
from api.logs.schemas import LogQuery, LogRead
from api.paging import Listing
from api.problems import QUEUE_IS_FULL, refusals
from api.resources import Resources
from api.routing import requires, v1_router
from api.shapes import VersionRef
from api.strict import JSON
from domain.executions import Status
from runtime.clock import utcnow
from store.executions import Executions, ExecutionView
from store.retries import Retries

PIECE = 64 * 1024  # bytes of an output
GONE = refusals({410: "It is kept no longer."})

router = v1_router("executions")


class JsonStream(StreamingResponse):
    """JSON that is written already, piece by piece."""

    media_type = JSON


@router.get("/executions")
@requires("read")
async def list_(
    query: Annotated[ExecutionQuery, Query()], session: Session, resources: ResourcesDep, pager: PagerDep
) -> Listing[ExecutionRead]:
    """List executions of all customers, newest first."""
    views = await service.find(session, query.wanted(), pager.page)
    expiries = await service.expiries(session, resources.settings.retention, views)
    return pager.listing(views, partial(read, resources, expiries), lambda view: view.row.id)


@router.get("/executions/{execution_id}")
@requires("read")
async def get(execution_id: str, session: Session, resources: ResourcesDep, tag: EtagDep) -> ExecutionDetail:
    """Read an execution: status, attempts, steps, lineage."""
    view = await service.get(session, execution_id)
    tag(service.revision(view.row))
    expiries = await service.expiries(session, resources.settings.retention, [view])
    return ExecutionDetail.of(
        view,
        _link(resources, view),
        expiries[execution_id],
        replays=[ExecutionLink.of(row) for row in await Executions(session).replays(execution_id)],
        supersedes=list(await Retries(session).superseded_by(execution_id)),
        invoked=[ExecutionLink.of(row) for row in await Executions(session).invoked(execution_id)],
        step_values_removed_at=view.row.step_values_removed_at,
        steps=await service.steps(session, resources.keyring, execution_id),
    )


@router.patch("/executions/{execution_id}")
@requires("execute")
async def update(
    execution_id: str,
    body: ExecutionUpdate,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    after_commit: AfterCommit,
) -> ExecutionRead:
    """Change what waits: when its next attempt is, how many retries are left, what it runs on."""
    view, handover = await editing.edit(
        session, resources, caller.principal, execution_id, body.changes(), precondition
    )
    if handover is not None:
        after_commit.append(partial(resources.gateway.replace, handover))
    tag(service.revision(view.row))
    return read(resources, await service.expiries(session, resources.settings.retention, [view]), view)


@router.post("/executions/{execution_id}/retry_now")
@requires("execute")
async def retry_now(
    execution_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    after_commit: AfterCommit,
) -> ExecutionRead:
    """Make the next attempt now, as `next_attempt_at` does that is over."""
    body = ExecutionUpdate(next_attempt_at=utcnow())
    return await update(execution_id, body, session, caller, resources, precondition, tag, after_commit)


@router.post("/executions/{execution_id}/unpark")
@requires("execute")
async def unpark(
    execution_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
    after_commit: AfterCommit,
) -> ExecutionRead:
    """Let its queue go on without one that has failed for good and keeps its place."""
    view, queue = await service.unpark(session, caller.principal, execution_id, precondition)
    after_commit.append(partial(resources.gateway.nudge, queue))
    tag(service.revision(view.row))
    return read(resources, await service.expiries(session, resources.settings.retention, [view]), view)


@router.get("/executions/{execution_id}/payload", responses=GONE)
@requires("read")
async def get_payload(execution_id: str, session: Session, resources: ResourcesDep) -> PayloadRead:
    """What invoked the execution, readable."""
    payload = await service.payload(session, resources, execution_id)
    root = payload.root()
    return PayloadRead(
        method=payload.method,
        headers=root["headers"],
        query=root["query"],
        path=payload.path,
        content_type=payload.content_type,
        size=len(payload.body),
        body=root["body"],
    )


@router.get("/executions/{execution_id}/payload/raw", response_class=Response, responses=GONE)
@requires("read")
async def get_raw_payload(execution_id: str, session: Session, resources: ResourcesDep) -> Response:
    """The very bytes that were received."""
    return _raw(await service.payload(session, resources, execution_id))


@router.get("/executions/{execution_id}/logs")
@requires("read")
async def list_logs(
    execution_id: str,
    query: Annotated[LogQuery, Query()],
    session: Session,
    resources: ResourcesDep,
    pager: PagerDep,
) -> Listing[LogRead]:
    """Search the execution's log lines, newest first."""
    asked = await logs.prepared(resources.database, query.asked())
    await service.get(session, execution_id)
    of_execution = replace(query.wanted(), execution_ids=[execution_id])
    rows = await logs.find(session, replace(asked, wanted=of_execution), pager.page)
    return pager.listing(rows, LogRead.of, lambda row: row.id)


@router.get("/executions/{execution_id}/steps/{path:path}/output", response_class=JsonStream, responses=GONE)
@requires("read")
async def get_step_output(
    execution_id: str,
    path: str,
    session: Session,
    resources: ResourcesDep,
    attempt: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
) -> JsonStream:
    """A step's whole output."""
    value = await service.output(session, resources.keyring, execution_id, path, attempt)
    return JsonStream(_pieces(value), headers={"Content-Length": str(len(value))})


@router.get("/executions/{execution_id}/replay_preview")
@requires("read")
async def preview_replay(
    execution_id: str, query: Annotated[PreviewQuery, Query()], session: Session, resources: ResourcesDep
) -> ReplayPreviewRead:
    """What a replay would run again, and which of its steps reach the outside world."""
    deployment, steps = await service.replay_preview(
        session,
        resources,
        execution_id,
        original_version=query.version == "original",
        from_failed_step=query.from_ == "failed_step",
    )
    version = VersionRef(id=deployment.version_id, number=deployment.version_number)
    told = [StepForecastRead.model_validate(vars(step)) for step in steps]
    return ReplayPreviewRead.model_validate(
        {"execution_id": execution_id, "version": version, "from": query.from_, "steps": told}
    )


@router.post("/executions/{execution_id}/replay", status_code=202, responses=QUEUE_IS_FULL)
@requires("execute")
async def replay(
    execution_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    response: Response,
    after_commit: AfterCommit,
    body: ReplayCreate | None = None,
) -> Started:
    """Run it again as a new execution with the same payload."""
    wanted = body or ReplayCreate()
    handover = await service.replay(
        session,
        resources,
        caller.principal,
        execution_id,
        original_version=wanted.version == "original",
        from_failed_step=wanted.from_ == "failed_step",
    )
    after_commit.append(partial(resources.gateway.hand_over, handover))
    url = f"{resources.settings.public_url}/v1/executions/{handover.execution_id}"
    response.headers["Location"] = url
    return Started(execution_id=handover.execution_id, url=url)


@router.post("/executions/{execution_id}/cancel", status_code=202)
@requires("execute")
async def cancel(
    execution_id: str, session: Session, caller: CallerDep, resources: ResourcesDep, after_commit: AfterCommit
) -> CancelRead:
    """Cancel an execution; a pending retry ends at once."""
    row = await service.cancel(session, caller.principal, execution_id)
    after_commit.append(partial(resources.gateway.cancel, row.workflow_id or row.id))
    return CancelRead(execution_id=row.id, status=Status(row.status))


def read(resources: Resources, expiries: Mapping[str, Expiry], view: ExecutionView) -> ExecutionRead:
    return ExecutionRead.of(view, _link(resources, view), expiries[view.row.id])


def _link(resources: Resources, view: ExecutionView) -> Any:
    row = view.row
    return resources.gateway.link(row.workflow_id, row.run_id) if row.workflow_id else None


async def _pieces(value: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(value), PIECE):
        yield value[start : start + PIECE]


def _raw(payload: Payload) -> Response:
    """Served as an opaque download: whatever a sender wrote is never rendered by a browser."""
    headers = {"Content-Type": payload.content_type or "application/octet-stream", "Content-Disposition": "attachment"}
    return Response(payload.body, headers=headers)
