"""Queues of flows, the ledger's side: giving slots away in order, and telling a queue that there is something to do."""

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import translate
from activities.handover import Starter, attributes, execution_input, handover_of
from activities.parking import parked
from domain.errors import FlowgraftError
from domain.messages import QueueInput, QueueStart, QueueTurn
from domain.queues import QueueRule, next_to_begin
from runtime.clock import utcnow
from store.engine import Database
from store.executions import Executions, ExecutionView
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
        stands = await parked(session, flow_id, rule, utcnow())
        most = min(MOST_AT_ONCE, await queues.free_of_customer(instance.customer_id))
        running = await queues.running_keys(instance.customer_id, flow_id, hold=rule.hold)
        waiting = await queues.next(
            flow_id, rule, running, MOST_AT_ONCE, awaited=not most, closed=stands.keys, except_roots=stands.roots
        )
        claimed = await queues.claim(next_to_begin(rule, waiting, running, most or MOST_AT_ONCE), utcnow())
        views = [await executions.view(row.id) for row in claimed]
        return QueueTurn(
            begun=[self._start(view) for view in views if view is not None],
            more=len(claimed) == MOST_AT_ONCE,
            over=not await queues.any_waiting(flow_id),
        )

    def _start(self, view: ExecutionView) -> QueueStart:
        handover = handover_of(view, attempts_made=view.row.attempt)
        return QueueStart(
            execution_id=handover.execution_id,
            given=execution_input(handover),
            attributes={name: value for name, value in attributes(handover).items() if value},
            customer_id=handover.customer_id,
            summary=handover.summary,
            details=self._starter.details(handover),
            parked=view.row.run_id is not None,
            workflow_id=handover.workflow_id,
        )


async def slot_free(database: Database, starter: Starter, of: QueueOf) -> None:
    """Tell whose turn it may be. After the commit: what is accepted meanwhile tells its queue itself."""
    async with database.snapshot() as session:
        waiting = await Queues(session).that_may_go_on(of)
    for queue in waiting:
        try:
            await starter.nudge(queue)
        except Exception as error:
            # Upkeep tells it in some seconds.
            log.warning("queue_not_told", error=type(error).__name__, detail=str(error)[:500])
