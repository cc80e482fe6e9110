"""Queues of flows, the ledger's side: giving slots away in order, and telling a queue that there is something to do."""

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import translate
from activities.handover import Starter, attributes, execution_input, handover_of
from domain.errors import FlowgraftError
from domain.messages import QueueInput, QueueStart, QueueTurn
from domain.queues import QueueRule, next_to_begin
from runtime.clock import utcnow
from store.engine import Database
from store.executions import Executions
from store.queues import QueueOf, Queues

MOST_AT_ONCE = 50  # claimed by one look

log = structlog.get_logger()


class QueueActivities:
    def __init__(self, database: Database, starter: Starter) -> None:
        self._database = database
        self._starter = starter

    @activity.defn
    async def next_in_queue(self, message: QueueInput) -> QueueTurn:
        """Claims the slots that are free. A claim whose start is lost is found by upkeep, as any lost start is."""
        try:
            async with self._database.transaction() as session:
                return await self._look(session, message.instance_flow_id)
        except FlowgraftError as error:
            raise translate(error) from error

    async def _look(self, session: AsyncSession, flow_id: str) -> QueueTurn:
        queues, executions = Queues(session), Executions(session)
        found = await queues.locked(flow_id)
        if found is None:
            return QueueTurn()
        flow, instance = found
        stopped = flow.queue_paused or not instance.enabled or instance.deleting or instance.suspended_at is not None
        if stopped:
            return QueueTurn()
        rule = QueueRule.of(flow.concurrency)
        running = await queues.running_keys(flow_id, hold=rule.hold)
        waiting = await queues.next(flow_id, rule, running, MOST_AT_ONCE)
        claimed = await queues.claim(next_to_begin(rule, waiting, running, MOST_AT_ONCE), utcnow())
        views = [await executions.view(row.id) for row in claimed]
        handovers = [handover_of(view, attempts_made=view.row.attempt) for view in views if view is not None]
        return QueueTurn(
            begun=[
                QueueStart(
                    execution_id=each.execution_id,
                    given=execution_input(each),
                    attributes={name: value for name, value in attributes(each).items() if value},
                    customer_id=each.customer_id,
                    summary=each.summary,
                    details=self._starter.details(each),
                    parked=each.attempts_made > 0,
                )
                for each in handovers
            ],
            more=len(claimed) == MOST_AT_ONCE,
            over=not await queues.any_waiting(flow_id),
        )


async def slot_free(database: Database, starter: Starter, of: QueueOf) -> None:
    """Tell the queue, if something waits in it. After the commit: what is accepted meanwhile tells it itself."""
    async with database.snapshot() as session:
        waits = await Queues(session).any_waiting(of.instance_flow_id)
    if not waits:
        return
    try:
        await starter.nudge(of)
    except Exception as error:
        # Upkeep tells it in some seconds.
        log.warning("queue_not_told", error=type(error).__name__, detail=str(error)[:500])
