"""Starting the workflow of a job: by the API right after its commit, by upkeep when Temporal was away."""

from contextlib import suppress
from typing import Any

from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.bulk import ReplayInput, UpgradeInput
from domain.messages import (
    DELETE_CUSTOMER_WORKFLOW,
    DELETE_WORKFLOW,
    DRAIN_WORKFLOW,
    REPLAY_SIGNAL,
    REPLAY_WORKFLOW,
    ROTATE_WORKFLOW,
    UPGRADE_SIGNAL,
    UPGRADE_WORKFLOW,
    DeleteInput,
    DrainInput,
    RotateInput,
)
from runtime.clock import utcnow
from runtime.temporal import INSTANCE_ID
from store.engine import Database
from store.jobs import Jobs
from store.tables import JobRow

WORKFLOWS = {
    "delete": DELETE_WORKFLOW,
    "delete_customer": DELETE_CUSTOMER_WORKFLOW,
    "drain": DRAIN_WORKFLOW,
    "replay": REPLAY_WORKFLOW,
    "rotate_keys": ROTATE_WORKFLOW,
    "upgrade": UPGRADE_WORKFLOW,
}
OF_INSTANCE = {"drain"}  # found by a delete of the instance, with what else is left of it
# Handed over again, by a signal, whenever people want something else of it.
STEERED = {"replay": REPLAY_SIGNAL, "upgrade": UPGRADE_SIGNAL}


class JobStarter:
    def __init__(self, client: Client, database: Database, task_queue: str) -> None:
        self._client = client
        self._database = database
        self._task_queue = task_queue

    async def start(self, job: JobRow) -> None:
        """The job's id is the workflow's. Started already is a success; a steered one that has failed is begun anew."""
        with suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                WORKFLOWS[job.kind],
                _message(job),
                id=job.id,
                task_queue=self._task_queue,
                search_attributes=_search_attributes(job),
                static_summary=f"{job.kind} {job.object_id}",
                **_begun_once(job),
            )
        async with self._database.transaction() as session:
            await Jobs(session).mark_handed_over(job.id, utcnow())


def _message(job: JobRow) -> DeleteInput | DrainInput | ReplayInput | RotateInput | UpgradeInput:
    if job.kind == "rotate_keys":
        return RotateInput(job.id, **(job.input or {}))
    if job.kind == "drain":
        return DrainInput(job.object_id, job.id, job.principal, **(job.input or {}))
    if job.kind == "replay":
        return ReplayInput(job.id)
    if job.kind == "upgrade":
        return UpgradeInput(job.id)
    return DeleteInput(object_id=job.object_id, job_id=job.id, principal=job.principal)


def _begun_once(job: JobRow) -> dict[str, Any]:
    if job.kind not in STEERED:
        return {"id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE}
    policy = WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
    return {"id_reuse_policy": policy, "start_signal": STEERED[job.kind]}


def _search_attributes(job: JobRow) -> TypedSearchAttributes:
    pairs = [SearchAttributePair(INSTANCE_ID, job.object_id)] if job.kind in OF_INSTANCE else []
    return TypedSearchAttributes(pairs)
