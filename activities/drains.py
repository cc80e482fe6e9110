"""Draining an instance after a pause: what was held is discarded or handed over, in its order. All may be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from activities.executions import CHECK_INTERVAL
from activities.handover import Starter, handover_of
from activities.metering import FlowNames, Tally
from activities.outbox import announce_execution
from domain.executions import Status
from domain.messages import Drained, DrainInput
from domain.pausing import Keep, burst
from runtime.clock import utcnow
from store.engine import Database
from store.executions import Executions, ExecutionView
from store.held import HeldExecutions
from store.instances import Instances
from store.jobs import Jobs
from store.tables import ExecutionRow, InstanceRow

BATCH = 200

log = structlog.get_logger()


@dataclass(frozen=True)
class _Turn:
    """What a drain finds: is it still its turn, and which execution is next?"""

    mine: bool
    view: ExecutionView | None = None


class DrainActivities:
    def __init__(self, database: Database, starter: Starter) -> None:
        self._database = database
        self._starter = starter
        self._names = FlowNames()

    @activity.defn
    async def sift_held(self, message: DrainInput) -> None:
        """Discards what is not kept, newest first. What came in after the pause is never discarded."""
        seen: set[tuple[str, str]] = set()
        before: str | None = None
        while True:
            async with self._database.snapshot() as session:
                mine = _its_turn(await Instances(session).get(message.instance_id), message)
                rows = await HeldExecutions(session).latest(message.instance_id, message.up_to, before, BATCH)
            discarded = _superseded(rows, Keep(message.keep), seen)
            if not rows or not mine:
                return
            await self._discard(message, discarded)
            before = rows[-1].id
            activity.heartbeat()

    @activity.defn
    async def release_held(self, message: DrainInput) -> Drained:
        """Hands over the next ones, as many as go out together."""
        for _ in range(burst(message.rate_per_second)):
            turn = await self._look(message)
            if not turn.mine or (turn.view is None and await self._finish(message)):
                return Drained(over=True)
            if turn.view is not None:
                await self._hand_over(message, turn.view)
            activity.heartbeat()
        return Drained(over=False)

    async def _discard(self, message: DrainInput, execution_ids: list[str]) -> None:
        tally, now = Tally(), utcnow()
        async with self._database.transaction() as session:
            rows = await HeldExecutions(session).discard(execution_ids, now)
            for row in rows:
                tally.finished(await self._names.of(session, row.instance_flow_id), row, Status.SKIPPED)
                announce_execution(session, row, Status.SKIPPED)
            await Jobs(session).add_up(message.job_id, {"discarded": len(rows)}, now, done=len(rows))
        tally.count()

    async def _look(self, message: DrainInput) -> _Turn:
        async with self._database.snapshot() as session:
            if not _its_turn(await Instances(session).get(message.instance_id), message):
                return _Turn(mine=False)
            first = await HeldExecutions(session).first(message.instance_id)
            return _Turn(mine=True, view=await Executions(session).view(first) if first else None)

    async def _hand_over(self, message: DrainInput, view: ExecutionView) -> None:
        """Started before it is released: what is killed in between starts again, which changes nothing."""
        handed_over: dict[str, Any] = {}
        if view.row.queue_key is not None:
            await self._to_queue(message, view)
            return
        try:
            await self._starter.start(handover_of(view))
            handed_over = {"handed_over_at": utcnow(), "check_after": utcnow() + CHECK_INTERVAL}
        except Exception as error:
            if isinstance(error, RPCError) and error.status != RPCStatusCode.INVALID_ARGUMENT:
                raise
            # One that cannot be started holds up no others: upkeep tries it again.
            log.warning("drain_failed", execution_id=view.row.id, error=type(error).__name__, detail=str(error)[:500])
        async with self._database.transaction() as session:
            if await HeldExecutions(session).release(view.row.id, handed_over):
                await Jobs(session).add_up(message.job_id, {"released": 1}, utcnow(), done=1)

    async def _to_queue(self, message: DrainInput, view: ExecutionView) -> None:
        """Released first: its queue looks for it in the ledger. Upkeep tells the queue, too."""
        async with self._database.transaction() as session:
            if await HeldExecutions(session).release(view.row.id, {}):
                await Jobs(session).add_up(message.job_id, {"released": 1}, utcnow(), done=1)
        await self._starter.start(handover_of(view))

    async def _finish(self, message: DrainInput) -> bool:
        """Ends the drain, unless a delivery has come in meanwhile: it waits for the lock, or we for it."""
        async with self._database.transaction() as session:
            instance = await Instances(session).get(message.instance_id, for_update=True)
            if instance is None or not _its_turn(instance, message):
                return True
            if await HeldExecutions(session).first(message.instance_id) is not None:
                return False
            instance.drain_job_id = None
            await Jobs(session).change(message.job_id, utcnow(), state="succeeded", stage="done")
            return True


def _its_turn(instance: InstanceRow | None, message: DrainInput) -> bool:
    """A pause or a suspension takes the turn away, a delete ends everything."""
    if instance is None or instance.deleting or instance.suspended_at is not None:
        return False
    return instance.drain_job_id == message.job_id


def _superseded(rows: Sequence[ExecutionRow], keep: Keep, seen: set[tuple[str, str]]) -> list[str]:
    """Of rows from the newest on. Alike are those of a flow, or of the key by which it tells what they are about."""
    if keep == Keep.NONE:
        return [row.id for row in rows]
    found = []
    for row in rows:
        key = (row.instance_flow_id, row.queue_key or row.unique_key or "")
        if key in seen:
            found.append(row.id)
        seen.add(key)
    return found
