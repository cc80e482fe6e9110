"""The queue of a flow, for people: what waits, pausing it, clearing it."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from activities.outbox import announce_execution
from api.etags import Precondition
from api.flows.service import FlowView, changeable, get, get_row, note, touch
from domain.errors import Conflict
from domain.executions import Status
from runtime.clock import utcnow
from store.paging import Page
from store.queues import Queues
from store.tables import ExecutionRow

CLEARED_AT_ONCE = 1000


async def waiting(session: AsyncSession, flow_id: str, page: Page) -> Sequence[ExecutionRow]:
    row = await get_row(session, flow_id)
    return await Queues(session).in_order(row.id, page)


async def set_paused(
    session: AsyncSession, principal: str, flow_id: str, precondition: Precondition, *, paused: bool
) -> FlowView:
    """What runs goes on. Repeated it changes nothing. Raises Conflict for a flow without a queue."""
    row, instance = await changeable(session, flow_id, precondition)
    if row.concurrency is None and paused:
        raise Conflict("This flow has no queue: its executions run in parallel.", code="no_queue")
    if row.queue_paused != paused:
        row.queue_paused = paused
        touch(row, utcnow())
        note(session, principal, f"flow.queue_{'paused' if paused else 'resumed'}", row, instance)
        await session.flush()
    return await get(session, flow_id)


async def clear(session: AsyncSession, principal: str, flow_id: str) -> int:
    """Cancels what waits, oldest first, as much as one transaction should; how many."""
    row, instance = await changeable(session, flow_id)
    canceled = await Queues(session).cancel_waiting(row.id, CLEARED_AT_ONCE, utcnow())
    for each in canceled:
        announce_execution(session, each, Status.CANCELED)
    note(session, principal, "flow.queue_cleared", row, instance, canceled=len(canceled))
    return len(canceled)
