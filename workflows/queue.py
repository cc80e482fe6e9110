"""The queue of a flow: begins what waits in the ledger, in its order, as far as slots are free."""

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.common import Priority, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.handover import keywords, retry_policy
    from activities.queues import QueueActivities
    from domain.messages import (
        EXECUTION_WORKFLOW,
        QUEUE_SIGNAL,
        QUEUE_WORKFLOW,
        TURN_SIGNAL,
        QueueInput,
        QueueStart,
        QueueTurn,
    )
    from workflows import policies


@workflow.defn(name=QUEUE_WORKFLOW)
class QueueWorkflow:
    """Knows nothing by itself: slots are given away in the ledger, signals say that it is worth a look. It ends when
    nothing waits; its children go on, and what frees a slot or is accepted starts it again."""

    def __init__(self) -> None:
        self._told = False

    @workflow.signal(name=QUEUE_SIGNAL)
    def look(self) -> None:
        self._told = True

    @workflow.run
    async def run(self, given: QueueInput) -> None:
        while workflow.info().get_current_history_length() < policies.QUEUE_SEGMENT:
            self._told = False
            turn: QueueTurn = await workflow.execute_local_activity_method(
                QueueActivities.next_in_queue, given, **policies.LEDGER
            )
            await asyncio.gather(*(_begin(start) for start in turn.begun))
            if turn.more:
                continue
            if turn.over and not self._told:
                return
            await workflow.wait_condition(lambda: self._told)
        workflow.continue_as_new(given)


async def _begin(start: QueueStart) -> None:
    if start.parked:
        # One whose workflow is gone is begun anew by upkeep.
        with suppress(ApplicationError):
            await workflow.get_external_workflow_handle(start.workflow_id or start.execution_id).signal(TURN_SIGNAL)
        return
    with suppress(WorkflowAlreadyStartedError):
        await workflow.start_child_workflow(
            EXECUTION_WORKFLOW,
            start.given,
            id=start.execution_id,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            retry_policy=retry_policy(start.given.retry),
            search_attributes=keywords(start.attributes),
            static_summary=start.summary,
            static_details=start.details,
            memo={"summary": start.summary, "details": start.details},
            priority=Priority(fairness_key=start.customer_id),
        )
