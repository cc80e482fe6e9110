"""Handing jobs over to Temporal: once, or again by a signal."""

from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from activities.job_starts import JobStarter
from store.tables import JobRow
from tests.activities.fleet import fleet
from tests.activities.kit import Kit
from tests.factories import job, saved


def starter(kit: Kit) -> JobStarter:
    return JobStarter(kit.temporal, kit.database, kit.task_queue)


async def signals(handle: WorkflowHandle[None, None]) -> int:
    events = (await handle.fetch_history()).events
    return len([event for event in events if event.HasField("workflow_execution_signaled_event_attributes")])


async def job_row(kit: Kit, job_id: str) -> JobRow:
    async with kit.database.snapshot() as session:
        return await session.get_one(JobRow, job_id)


async def test_job_is_started_once_and_noted(temporal_kit: Kit) -> None:
    row = job(kind="delete")
    await saved(temporal_kit.database, row)
    for _ in range(2):
        await starter(temporal_kit).start(row)
    assert (await job_row(temporal_kit, row.id)).handed_over_at is not None
    handle = temporal_kit.temporal.get_workflow_handle(row.id)
    assert await signals(handle) == 0
    await handle.terminate()
    await starter(temporal_kit).start(row)
    assert (await handle.describe()).status == WorkflowExecutionStatus.TERMINATED


async def test_upgrade_is_told_again_and_begun_anew_when_it_was_terminated(temporal_kit: Kit) -> None:
    upgrade_id = await (await fleet(temporal_kit)).upgrade()
    row = await job_row(temporal_kit, upgrade_id)
    for _ in range(3):
        await starter(temporal_kit).start(row)
    handle = temporal_kit.temporal.get_workflow_handle(upgrade_id)
    assert await signals(handle) == 3
    await handle.terminate()
    await starter(temporal_kit).start(row)
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    await handle.terminate()
