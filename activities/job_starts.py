"""Starting the workflow of a job: by the API right after its commit, by upkeep when Temporal was away."""

from contextlib import suppress

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.messages import DELETE_CUSTOMER_WORKFLOW, DELETE_WORKFLOW, DeleteInput
from runtime.clock import utcnow
from store.engine import Database
from store.jobs import Jobs
from store.tables import JobRow

WORKFLOWS = {"delete": DELETE_WORKFLOW, "delete_customer": DELETE_CUSTOMER_WORKFLOW}


class JobStarter:
    def __init__(self, client: Client, database: Database, task_queue: str) -> None:
        self._client = client
        self._database = database
        self._task_queue = task_queue

    async def start(self, job: JobRow) -> None:
        """The job's id is the workflow's. Started already is a success."""
        message = DeleteInput(object_id=job.object_id, job_id=job.id, principal=job.principal)
        with suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                WORKFLOWS[job.kind],
                message,
                id=job.id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"{job.kind} {job.object_id}",
            )
        async with self._database.transaction() as session:
            await Jobs(session).mark_handed_over(job.id, utcnow())
