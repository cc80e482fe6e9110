from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle

from activities.handover import handover_of
from activities.schedules import schedule_id
from domain.executions import RetryRule, Status
from domain.messages import TURN_SIGNAL, ExecutionInput
from domain.sweeps import SweepReport
from runtime.clock import utcnow
from store.executions import Executions
from store.retries import superseded_values
from store.tables import ExecutionRow, IdempotencyRow, InstanceFlowRow, JobRow, TombstoneRow
from tests.activities.kit import Kit, definition, working
from tests.factories import job, saved
from tests.fixtures.temporal import eventually

LONG_AGO = timedelta(days=31)
NIGHTLY = {"cron": "0 3 * * *", "time_zone": "UTC", "catch_up_seconds": 60.0}


async def running(kit: Kit, *, started: bool = True, **given: Any) -> ExecutionRow:
    """An execution that is due for a look; `started`: Temporal knows it, though nobody works on it."""
    defaults = {"status": Status.RUNNING, "attempt": 1, "max_attempts": 3, "retry": asdict(RetryRule(3, 5.0))}
    defaults |= {"handed_over_at": utcnow(), "check_after": utcnow() - timedelta(seconds=1)}
    row = await kit.accepted(await kit.made(definition({})), **defaults | given)
    if started:
        async with kit.database.snapshot() as session:
            view = await Executions(session).view(row.id)
        assert view is not None
        await kit.starter.start(handover_of(view))
    return row


def handle_of(kit: Kit, row: ExecutionRow) -> WorkflowHandle[Any, Any]:
    return kit.temporal.get_workflow_handle(row.id)


async def status_of(kit: Kit, row: ExecutionRow) -> WorkflowExecutionStatus | None:
    return (await handle_of(kit, row).describe()).status


async def sweep(kit: Kit) -> SweepReport:
    report: SweepReport = await kit.environment.run(kit.upkeep.sweep)
    return report


async def test_accepted_execution_is_started(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}))
    old = await temporal_kit.accepted(made)
    young = await temporal_kit.accepted(made, queued_at=utcnow())
    report = await sweep(temporal_kit)
    assert (report.started, report.failed) == (1, 0)
    assert await status_of(temporal_kit, old) == WorkflowExecutionStatus.RUNNING
    assert (await temporal_kit.execution(old.id)).handed_over_at is not None
    assert (await temporal_kit.execution(young.id)).handed_over_at is None
    assert (await sweep(temporal_kit)).started == 0
    await handle_of(temporal_kit, old).terminate()


async def test_start_whose_answer_was_lost_is_a_success(temporal_kit: Kit) -> None:
    row = await running(temporal_kit, status=Status.QUEUED, handed_over_at=None, check_after=None)
    report = await sweep(temporal_kit)
    assert (report.started, report.failed) == (1, 0)
    await handle_of(temporal_kit, row).terminate()


async def test_one_that_cannot_be_started_does_not_hold_up_the_others(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}))
    broken = await temporal_kit.accepted(made, retry={"unheard_of": 1})
    good = await temporal_kit.accepted(made)
    report = await sweep(temporal_kit)
    assert (report.started, report.failed) == (1, 1)
    assert (await temporal_kit.execution(broken.id)).handed_over_at is None
    await handle_of(temporal_kit, good).terminate()


async def test_execution_that_is_well_is_left_alone(temporal_kit: Kit) -> None:
    row = await running(temporal_kit)
    report = await sweep(temporal_kit)
    assert (report.checked, report.mended) == (1, 0)
    seen = await temporal_kit.execution(row.id)
    assert seen.status == Status.RUNNING
    assert seen.check_after is not None
    assert seen.check_after > utcnow()
    assert (await sweep(temporal_kit)).checked == 0
    await handle_of(temporal_kit, row).terminate()


async def test_terminated_workflow_is_a_failed_execution(temporal_kit: Kit) -> None:
    row = await running(temporal_kit)
    await handle_of(temporal_kit, row).terminate()
    assert (await sweep(temporal_kit)).mended == 1
    seen = await temporal_kit.execution(row.id)
    assert (seen.status, (seen.error or {})["code"], seen.check_after) == (Status.FAILED, "terminated", None)
    assert seen.ended_at is not None
    assert [flow.failed for flow in await temporal_kit.rows(InstanceFlowRow)] == [True]


async def test_workflow_that_ended_without_its_record(temporal_kit: Kit) -> None:
    """It found no row, so it ended at once; a database that was restored from a backup, say."""
    row = await running(temporal_kit)
    async with temporal_kit.database.transaction() as session:
        await session.delete(await session.get_one(ExecutionRow, row.id))
    async with working(temporal_kit):
        await handle_of(temporal_kit, row).result()
    await saved(temporal_kit.database, await _again(row))
    assert (await sweep(temporal_kit)).mended == 1
    seen = await temporal_kit.execution(row.id)
    assert (seen.status, (seen.error or {})["code"]) == (Status.FAILED, "record_lost")


async def _again(row: ExecutionRow) -> ExecutionRow:
    return ExecutionRow(**{column.name: getattr(row, column.name) for column in ExecutionRow.__table__.columns})


@pytest.mark.parametrize(("status", "made"), [(Status.RUNNING, 1), (Status.RETRYING, 2)])
async def test_lost_workflow_is_begun_anew_with_its_attempts(temporal_kit: Kit, status: Status, made: int) -> None:
    """One under way is made once more; one that has failed is over."""
    row = await running(temporal_kit, started=False, status=status, attempt=2)
    assert (await sweep(temporal_kit)).mended == 1
    handle = handle_of(temporal_kit, row)
    first = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    [given] = await temporal_kit.temporal.data_converter.decode(first.input.payloads, [ExecutionInput])
    assert (given.execution_id, given.base_attempt, given.trigger) == (row.id, made, None)
    assert first.retry_policy.maximum_attempts == 3 - made
    assert (await temporal_kit.execution(row.id)).status == status
    await handle.terminate()


async def test_lost_workflow_of_a_schedule_is_a_failure(temporal_kit: Kit) -> None:
    row = await running(temporal_kit, started=False, workflow_id="schedule-flow_1-2026-01-02T03:00:00Z")
    await sweep(temporal_kit)
    assert ((await temporal_kit.execution(row.id)).error or {})["code"] == "workflow_lost"


async def test_cancel_that_nobody_heeds_ends_in_a_terminate(temporal_kit: Kit) -> None:
    row = await running(temporal_kit, cancel_requested_at=utcnow() - timedelta(seconds=31))
    young = await running(temporal_kit, cancel_requested_at=utcnow())
    assert (await sweep(temporal_kit)).mended == 1
    seen = await temporal_kit.execution(row.id)
    assert (seen.status, seen.reason, seen.error) == (Status.CANCELED, "terminated", None)
    assert await status_of(temporal_kit, row) == WorkflowExecutionStatus.TERMINATED
    assert await status_of(temporal_kit, young) == WorkflowExecutionStatus.RUNNING
    await handle_of(temporal_kit, young).terminate()


async def test_schedules_that_may_differ_are_applied(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({"trigger": {"type": "schedule", "cron": "0 3 * * *"}}))
    async with temporal_kit.database.transaction() as session:
        flow = await session.get_one(InstanceFlowRow, made.flow.id)
        flow.schedule, flow.schedule_dirty = NIGHTLY, True
    await sweep(temporal_kit)
    schedule = temporal_kit.temporal.get_schedule_handle(schedule_id(made.flow.id))
    assert (await schedule.describe()).schedule.policy.catchup_window == timedelta(minutes=1)
    assert not (await temporal_kit.rows(InstanceFlowRow))[0].schedule_dirty
    await schedule.delete()


async def test_job_that_was_not_handed_over_is_started(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}))
    row = job(kind="delete", object_id=made.instance.id)
    await saved(temporal_kit.database, row)
    for _ in range(2):
        await sweep(temporal_kit)
    assert [each.handed_over_at is not None for each in await temporal_kit.rows(JobRow)] == [True]
    handle = temporal_kit.temporal.get_workflow_handle(row.id)
    assert (await handle.describe()).workflow_type == "DeleteInstance"
    await handle.terminate()


async def test_what_is_past_its_time_is_purged(temporal_kit: Kit) -> None:
    now = utcnow()
    keys = [_idempotency("old", now - LONG_AGO), _idempotency("new", now)]
    tokens = [TombstoneRow(token="old", deleted_at=now - LONG_AGO), TombstoneRow(token="new", deleted_at=now)]
    await saved(temporal_kit.database, *keys, *tokens)
    await sweep(temporal_kit)
    assert [row.key for row in await temporal_kit.rows(IdempotencyRow)] == ["new"]
    assert [row.token for row in await temporal_kit.rows(TombstoneRow)] == ["new"]


def _idempotency(key: str, at: datetime) -> IdempotencyRow:
    return IdempotencyRow(principal="p", method="POST", path="/", key=key, fingerprint="f", created_at=at)


async def test_execution_that_is_started_late_runs_to_its_end(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}))
    row = await temporal_kit.accepted(made)
    await sweep(temporal_kit)

    async def ended() -> bool:
        return (await temporal_kit.execution(row.id)).status == Status.SUCCEEDED

    async with working(temporal_kit):
        assert await eventually(ended)


async def test_workflow_of_a_superseded_execution_is_let_go(temporal_kit: Kit) -> None:
    row = await running(temporal_kit)
    gone = await running(temporal_kit, started=False)
    async with temporal_kit.database.transaction() as session:
        for each in (row, gone):
            values = superseded_values("exec_newer", utcnow() - timedelta(seconds=1))
            await Executions(session).change(each.id, values)
    assert (await sweep(temporal_kit)).failed == 0
    for each in (row, gone):
        ended = await temporal_kit.execution(each.id)
        assert (ended.status, ended.check_after) == (Status.CANCELED, None)

    async def asked_to_end() -> bool:
        history = await handle_of(temporal_kit, row).fetch_history()
        return any(event.HasField("workflow_execution_cancel_requested_event_attributes") for event in history.events)

    await eventually(asked_to_end)
    await handle_of(temporal_kit, row).terminate()


async def test_one_that_has_a_slot_is_told_again(temporal_kit: Kit) -> None:
    """What told it was lost with a worker, between the claim and the signal."""
    slot = {"status": Status.QUEUED, "queue_key": "", "run_id": "run-1", "handed_over_at": utcnow()}
    row = await running(temporal_kit, started=False, **slot)
    async with temporal_kit.database.snapshot() as session:
        view = await Executions(session).view(row.id)
    assert view is not None
    await temporal_kit.starter.start(handover_of(view))
    report = await sweep(temporal_kit)
    assert (report.failed, report.mended) == (0, 0)
    history = await handle_of(temporal_kit, row).fetch_history()
    signals = [event.workflow_execution_signaled_event_attributes.signal_name for event in history.events]
    assert TURN_SIGNAL in signals
    await handle_of(temporal_kit, row).terminate()
