"""Executions that Temporal has and the ledger has lost, say because a backup was put back: their rows are made anew.

What Temporal knows is enough to find and to close them. The payload as it was received is gone, and so are the records
of the steps until now.
"""

from dataclasses import asdict

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from activities.executions import CHECK_INTERVAL
from activities.records import Log, log_lines, owner_of
from activities.replacing import input_of
from domain.executions import TERMINAL, Status, scheduled_execution_id
from domain.messages import ExecutionInput, Failure
from runtime.clock import utcnow
from runtime.temporal import OUTCOME, REPLAY_OF, SCHEDULED_AT, SCHEDULED_BY, TRIGGER
from store.dialect import insert_ignore, values_of
from store.engine import Database
from store.logs import Logs
from store.tables import DeploymentRow, ExecutionRow, InstanceFlowRow, InstanceRow

RECOVERED = "recovered"
LOST = Failure("record_lost", "The ledger had lost this execution: what Temporal knows of it was written down again")
STATUSES = {
    WorkflowExecutionStatus.RUNNING: Status.RUNNING,
    WorkflowExecutionStatus.COMPLETED: Status.SUCCEEDED,
    WorkflowExecutionStatus.CANCELED: Status.CANCELED,
}


def execution_id_of(workflow: WorkflowExecution) -> str:
    """A schedule's workflow has an id of Temporal's own."""
    schedule = workflow.typed_search_attributes.get(SCHEDULED_BY)
    nominal = workflow.typed_search_attributes.get(SCHEDULED_AT)
    return scheduled_execution_id(schedule, nominal) if schedule and nominal else workflow.id


def outcome_of(workflow: WorkflowExecution) -> Status | None:
    """What its execution came to; none: it has never been closed, or another run goes on."""
    told = workflow.typed_search_attributes.get(OUTCOME)
    return Status(told) if told in TERMINAL else None


class Recovery:
    def __init__(self, client: Client, database: Database) -> None:
        self._client = client
        self._database = database

    async def recover(self, execution_id: str, workflow: WorkflowExecution) -> bool:
        """False: it has come to the ledger meanwhile, or belongs to nothing that is here any more."""
        given = await input_of(self._client, workflow)
        async with self._database.transaction() as session:
            flow = await session.get(InstanceFlowRow, given.instance_flow_id)
            instance = await session.get(InstanceRow, flow.instance_id) if flow is not None else None
            if instance is None or instance.deleting:
                return False
            deployment = await session.get(DeploymentRow, given.deployment_id or instance.deployment_id or "")
            if deployment is None:
                return False
            row = _row(execution_id, workflow, given, instance, deployment)
            if not await insert_ignore(session, ExecutionRow, values_of(row), ["id"]):
                return False
            log = Log()
            log("warn", LOST.message)
            await Logs(session).add_many(log_lines(owner_of(row), row.attempt, None, log))
        return True


def _row(
    execution_id: str, workflow: WorkflowExecution, given: ExecutionInput, instance: InstanceRow, of: DeploymentRow
) -> ExecutionRow:
    attributes, now = workflow.typed_search_attributes, utcnow()
    status = outcome_of(workflow) or STATUSES.get(workflow.status or WorkflowExecutionStatus.FAILED, Status.FAILED)
    ended = status in TERMINAL
    return ExecutionRow(
        id=execution_id,
        instance_flow_id=given.instance_flow_id,
        instance_id=instance.id,
        customer_id=instance.customer_id,
        integration_id=instance.integration_id,
        version_id=of.version_id,
        deployment_id=of.id,
        status=status,
        reason=RECOVERED,
        trigger=attributes.get(TRIGGER) or "webhook",
        replay_of=attributes.get(REPLAY_OF),
        root_id=attributes.get(REPLAY_OF),
        attempt=given.base_attempt + 1,
        max_attempts=given.retry.max_attempts,
        retry=asdict(given.retry),
        queued_at=workflow.start_time,
        started_at=workflow.start_time,
        ended_at=(workflow.close_time or now) if ended else None,
        error=asdict(LOST) if status == Status.FAILED else None,
        tags={},
        workflow_id=workflow.id,
        run_id=workflow.run_id,
        handed_over_at=workflow.start_time,
        check_after=None if ended else now + CHECK_INTERVAL,
        created_at=workflow.start_time,
        updated_at=now,
    )
