"""`/v1/flows/{id}/queue`: what waits for a slot."""

from functools import partial
from typing import Self

from pydantic import BaseModel, Field

from api.deps import AfterCommit, CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.flows import queues_service as service
from api.flows.schemas import FlowRead
from api.paging import Listing
from api.routing import requires, v1_router
from api.shapes import Instant
from store.queues import QueueOf
from store.tables import ExecutionRow

router = v1_router("flows")


class WaitingRead(BaseModel):
    execution_id: str
    queued_at: Instant
    attempt: int = Field(description="More than 0: it waits for its next attempt")
    replay_of: str | None
    tags: dict[str, str]
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, row: ExecutionRow) -> Self:
        return cls.model_validate(
            {
                "execution_id": row.id,
                "queued_at": row.queued_at,
                "attempt": row.attempt,
                "replay_of": row.replay_of,
                "tags": row.tags,
                "created_at": row.created_at,
                "updated_at": row.updated_at,
            }
        )


class Cleared(BaseModel):
    canceled: int = Field(description="At most 1,000: ask again while it is that many")


@router.get("/flows/{flow_id}/queue")
@requires("read")
async def list_waiting(flow_id: str, session: Session, pager: PagerDep) -> Listing[WaitingRead]:
    """List what waits in a flow's queue, in its order."""
    rows = await service.waiting(session, flow_id, pager.page)
    return pager.listing(rows, WaitingRead.of, lambda row: row.id)


@router.post("/flows/{flow_id}/queue/pause")
@requires("write")
async def pause(
    flow_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> FlowRead:
    """Let nothing begin that waits in the queue; deliveries are accepted meanwhile, and what runs goes on."""
    view = await service.set_paused(session, caller.principal, flow_id, precondition, paused=True)
    tag(view.row.revision)
    return FlowRead.of(view, resources.settings.public_url)


@router.post("/flows/{flow_id}/queue/resume")
@requires("write")
async def resume(
    flow_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    after_commit: AfterCommit,
    tag: EtagDep,
) -> FlowRead:
    """Go on with what waits, in its order."""
    view = await service.set_paused(session, caller.principal, flow_id, precondition, paused=False)
    queue = QueueOf(view.row.id, view.row.instance_id, view.customer_id)
    after_commit.append(partial(resources.gateway.nudge, queue))
    tag(view.row.revision)
    return FlowRead.of(view, resources.settings.public_url)


@router.post("/flows/{flow_id}/queue/clear")
@requires("write")
async def clear(flow_id: str, session: Session, caller: CallerDep) -> Cleared:
    """Cancel what waits; what runs goes on."""
    return Cleared(canceled=await service.clear(session, caller.principal, flow_id))
