"""Executions that have failed for good and keep their place in their flow's queue, until somebody sees to them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from activities.records import Log, log_lines, owner_of
from domain.queues import QueueRule
from store.executions import Moved
from store.logs import Logs
from store.parking import Parking
from store.tables import ExecutionRow, InstanceFlowRow


@dataclass(frozen=True)
class Parked:
    """What a look at a queue finds: whose keys stand still, and of which lineages replays may begin all the same."""

    keys: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


async def park(session: AsyncSession, row: ExecutionRow | Moved, now: datetime) -> None:
    """For one that has failed for good, if its flow parks such ones. A replay of one that is parked leaves it so."""
    if row.queue_key is None or row.is_test:
        return
    flow = await session.get_one(InstanceFlowRow, row.instance_flow_id)
    seconds = QueueRule.of(flow.concurrency).park_seconds
    if seconds is None:
        return
    parking = Parking(session)
    if row.root_id is not None and any(_root(each) == row.root_id for each in await parking.of_flow(flow.id)):
        return
    await parking.park(row.id, now + timedelta(seconds=seconds))


async def parked(session: AsyncSession, flow_id: str, rule: QueueRule, now: datetime) -> Parked:
    """Those whose time is over, or that a deploy no longer parks, are set free, and say so."""
    parking = Parking(session)
    rows = await parking.of_flow(flow_id)
    over = [row for row in rows if rule.park_seconds is None or (row.parked_until and row.parked_until <= now)]
    if over:
        await parking.free(flow_id, [row.id for row in over], now)
        for row in over:
            log = Log()
            log("warn", "Nobody has seen to it in time: its queue goes on without it")
            await Logs(session).add_many(log_lines(owner_of(row), row.attempt, None, log))
    kept = [row for row in rows if row not in over]
    if rule.park_seconds is not None:
        await parking.tell_why(flow_id, [row.queue_key or "" for row in kept])
    return Parked(tuple(row.queue_key or "" for row in kept), tuple(_root(row) for row in kept))


def _root(row: ExecutionRow) -> str:
    return row.root_id or row.id
