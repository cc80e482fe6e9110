from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from activities import reconcile
from activities.handover import handover_of
from activities.reconcile import Positions, ReconcileActivities
from activities.schedules import schedule_id
from domain.executions import Status
from domain.sweeps import ReconcileReport
from runtime.clock import utcnow
from runtime.temporal import OUTCOME
from store.executions import Executions
from store.tables import ExecutionRow, InstanceFlowRow, StepRow, SweepRow
from tests.activities.kit import Kit, definition, working
from tests.activities.test_retention import DAY, USUAL
from tests.activities.test_upkeep import NIGHTLY, sweep
from tests.factories import Deployed
from tests.fixtures.temporal import eventually

MINUTE = timedelta(minutes=1)
NAP: dict[str, Any] = {"steps": [{"key": "nap", "sleep": "1h"}]}
SAY: dict[str, Any] = {"steps": [{"key": "say", "action": "log.write", "inputs": {"message": "Hello"}}]}


async def reconciled(kit: Kit) -> ReconcileReport:
    """Without the grace that lets both sides hear of what has just happened."""
    activities = ReconcileActivities(kit.temporal, kit.database, kit.task_queue, USUAL, -2 * MINUTE)
    report: ReconcileReport = await kit.environment.run(activities.reconcile)
    return report


async def started(kit: Kit, made: Deployed, **given: Any) -> ExecutionRow:
    row = await kit.accepted(made, **given)
    async with kit.database.snapshot() as session:
        view = await Executions(session).view(row.id)
    assert view is not None
    await kit.starter.start(handover_of(view))
    return row


async def forget(kit: Kit, *rows: str) -> None:
    """As if a backup had been put back."""
    async with kit.database.transaction() as session:
        await session.execute(delete(StepRow).where(StepRow.execution_id.in_(rows)))
        await session.execute(delete(ExecutionRow).where(ExecutionRow.id.in_(rows)))


def listed(kit: Kit, wanted: int, status: str) -> Callable[[], Awaitable[bool]]:
    """Whether Temporal's list, which lags behind, shows so many."""
    query = f"TaskQueue = '{kit.task_queue}' AND ExecutionStatus = '{status}'"

    async def look() -> bool:
        return len([each async for each in kit.temporal.list_workflows(query)]) >= wanted

    return look


async def until(kit: Kit, execution_id: str, status: str) -> ExecutionRow:
    async def look() -> ExecutionRow | None:
        async with kit.database.snapshot() as session:
            row = await session.get(ExecutionRow, execution_id)
        return row if row is not None and row.status == status else None

    found = await eventually(look, 20)
    assert found is not None
    return found


async def test_what_both_agree_on_is_no_difference(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made = await kit.made(definition(NAP))
    row = await started(kit, made)
    await eventually(listed(kit, 1, "Running"))
    report = await reconciled(kit)
    assert (report.looked_at, report.differences, report.failed) == (1, {}, 0)
    await kit.temporal.get_workflow_handle(row.id).terminate()


async def test_running_execution_that_the_ledger_lost_is_written_down_again(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made = await kit.made(definition(NAP))
    async with working(kit):
        row = await started(kit, made, max_attempts=3)
        await until(kit, row.id, Status.RUNNING)
        await forget(kit, row.id)
        await eventually(listed(kit, 1, "Running"))
        assert (await reconciled(kit)).differences == {"missing_in_ledger": 1}
        assert (await reconciled(kit)).differences == {}
        found = await kit.execution(row.id)
        assert (found.status, found.reason, found.trigger) == (Status.RUNNING, "recovered", "webhook")
        assert (found.instance_id, found.customer_id) == (row.instance_id, row.customer_id)
        assert (found.deployment_id, found.version_id) == (row.deployment_id, row.version_id)
        # From now on it is like any other: it can be canceled, and is closed.
        await kit.temporal.get_workflow_handle(row.id).cancel()
        await until(kit, row.id, Status.CANCELED)
    assert any("lost" in text for text in await kit.lines(row.id))


async def test_ended_execution_that_the_ledger_lost_is_written_down_again(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made, failing = await kit.made(definition(SAY)), {"steps": [{"key": "no", "stop": {"fail": "No"}}]}
    other = await kit.made(definition(failing))
    async with working(kit):
        good, bad = await started(kit, made), await started(kit, other)
        await until(kit, good.id, Status.SUCCEEDED)
        await until(kit, bad.id, Status.FAILED)
        await eventually(listed(kit, 1, "Completed"))
        await eventually(listed(kit, 1, "Failed"))
    await forget(kit, good.id, bad.id)
    assert (await reconciled(kit)).differences == {"missing_in_ledger": 2}
    found, failed = await kit.execution(good.id), await kit.execution(bad.id)
    assert (found.status, found.error, found.check_after) == (Status.SUCCEEDED, None, None)
    assert found.ended_at is not None
    assert failed.status == Status.FAILED
    assert failed.error is not None
    assert failed.error["code"] == "record_lost"
    assert (await reconciled(kit)).differences == {}


async def test_executions_of_what_is_deleted_are_left_alone(temporal_kit: Kit) -> None:
    kit = temporal_kit
    row = await started(kit, await kit.made(definition(NAP), deleting=True))
    await forget(kit, row.id)
    await eventually(listed(kit, 1, "Running"))
    assert (await reconciled(kit)).differences == {}
    async with kit.database.snapshot() as session:
        assert await session.get(ExecutionRow, row.id) is None
    await kit.temporal.get_workflow_handle(row.id).terminate()


async def test_workflow_of_an_ended_execution_is_canceled_then_terminated(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made = await kit.made(definition(NAP))
    row = await started(kit, made, status=Status.FAILED, ended_at=utcnow())
    handle = kit.temporal.get_workflow_handle(row.id)
    await eventually(listed(kit, 1, "Running"))
    assert (await reconciled(kit)).differences == {"running_in_temporal": 1}
    events = [event async for event in handle.fetch_history_events()]
    assert any(event.HasField("workflow_execution_cancel_requested_event_attributes") for event in events)
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING  # nobody works on it
    async with kit.database.transaction() as session:
        changed = update(ExecutionRow).where(ExecutionRow.id == row.id).values(ended_at=utcnow() - 11 * MINUTE)
        await session.execute(changed)
    assert (await reconciled(kit)).differences == {"running_in_temporal": 1}
    assert (await handle.describe()).status == WorkflowExecutionStatus.TERMINATED
    assert (await kit.execution(row.id)).status == Status.FAILED


@pytest.mark.parametrize(
    "given", [{"ended_at": utcnow() + DAY}, {"check_after": utcnow()}], ids=["just ended", "upkeep sees to it"]
)
async def test_workflow_that_will_end_by_itself_is_left_alone(temporal_kit: Kit, given: dict[str, Any]) -> None:
    kit = temporal_kit
    ended: dict[str, Any] = {"status": Status.CANCELED, "ended_at": utcnow()}
    row = await started(kit, await kit.made(definition(NAP)), **ended | given)
    await eventually(listed(kit, 1, "Running"))
    assert (await reconciled(kit)).differences == {}
    await kit.temporal.get_workflow_handle(row.id).terminate()


async def test_fire_that_waits_for_a_worker_is_not_missed(temporal_kit: Kit) -> None:
    """A schedule's execution comes to the ledger with its first task."""
    kit = temporal_kit
    made = await kit.made(definition(NAP | {"trigger": {"type": "schedule", "cron": "0 3 * * *"}}))
    async with kit.database.transaction() as session:
        flow = await session.get_one(InstanceFlowRow, made.flow.id)
        flow.schedule = NIGHTLY
    await kit.schedules.sync_instance(made.instance.id)
    scheduled = kit.temporal.get_schedule_handle(schedule_id(made.flow.id))
    await scheduled.trigger()
    await eventually(listed(kit, 1, "Running"))
    assert (await reconciled(kit)).differences == {}
    async with working(kit):

        async def begun() -> list[ExecutionRow]:
            return await kit.rows(ExecutionRow)

        [row] = await eventually(begun)
        await forget(kit, row.id)

        async def missed() -> bool:
            """Once its first task has ended, which the ledger does not wait for."""
            return (await reconciled(kit)).differences == {"missing_in_ledger": 1}

        assert await eventually(missed)
        assert [each.id for each in await kit.rows(ExecutionRow)] == [row.id]
        assert (await kit.execution(row.id)).workflow_id == row.workflow_id
        await kit.temporal.get_workflow_handle(row.workflow_id or "").terminate()
    await scheduled.delete()


async def test_upkeep_believes_what_temporal_says_of_the_outcome(temporal_kit: Kit) -> None:
    """Open in a ledger that was put back, ended in Temporal."""
    kit = temporal_kit
    async with working(kit):
        row = await started(kit, await kit.made(definition(SAY)))
        await until(kit, row.id, Status.SUCCEEDED)

        async def told() -> bool:
            described: WorkflowExecution = await kit.temporal.get_workflow_handle(row.id).describe()
            return described.typed_search_attributes.get(OUTCOME) == Status.SUCCEEDED

        await eventually(told)
    async with kit.database.transaction() as session:
        again = {"status": Status.RUNNING, "ended_at": None, "check_after": utcnow() - MINUTE}
        await session.execute(update(ExecutionRow).where(ExecutionRow.id == row.id).values(again))
    assert (await sweep(kit)).mended == 1
    assert (await kit.execution(row.id)).status == Status.SUCCEEDED


async def test_run_is_bounded_and_noted(temporal_kit: Kit) -> None:
    kit = temporal_kit
    activities = ReconcileActivities(kit.temporal, kit.database, kit.task_queue, USUAL)
    for _ in range(2):
        report: ReconcileReport = await kit.environment.run(activities.reconcile)
    assert report == ReconcileReport()
    [noted] = [row for row in await kit.rows(SweepRow) if row.name == reconcile.SWEEP]
    assert noted.report == {"looked_at": 0, "differences": {}, "failed": 0}
    positions = Positions.read(noted.position, utcnow(), USUAL.executions)
    assert utcnow() - positions.ended_since < 4 * MINUTE  # it has come up to now


def test_positions_do_not_reach_into_what_is_kept_no_longer() -> None:
    now = utcnow()
    old = Positions(now - 9 * DAY, now - 9 * DAY).write()
    assert Positions.read(old, now, 14 * DAY).ended_since == now - DAY
    assert Positions.read(old, now, DAY).ended_since == now - DAY / 2
    assert Positions.read(None, now, DAY).started_before == now - reconcile.GRACE
