from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.payloads import Payload
from domain.executions import Status
from domain.messages import ActionHint, CloseInput, Failure, OpenInput, StepRecord
from runtime.clock import utcnow
from store.executions import Acceptance, Executions
from store.tables import ExecutionRow, InstanceFlowRow, InstanceRow, LogRow
from tests.activities.kit import Kit, close_input, definition, open_input
from tests.factories import NOW, Deployed, an_id, execution

NIGHTLY = {"trigger": {"type": "schedule", "cron": "0 3 * * *"}}
STEPS = [
    {"key": "a", "action": "http.get", "inputs": {"url": "{{ flows.hello.webhook_url }}"}},
    {"key": "b", "branch": [{"name": "x", "else": True, "steps": [{"key": "c", "action": "data.map", "inputs": {}}]}]},
    {"key": "d", "action": "acme.frobnicate", "inputs": {}},
]
FAILURE = Failure("http_status", "GET x answered 500", "get", transient=True)


async def fired(kit: Kit, made: Deployed, **given: Any) -> tuple[OpenInput, bool]:
    """A schedule's start, opened; whether it may proceed."""
    row = execution(made.instance, made.flow, id=an_id("exec"))
    message = open_input(row, deployment_id="", workflow_id=f"schedule-{row.id}", nominal_at=NOW.isoformat(), **given)
    return message, (await kit.executions.open_execution(message)).proceed


async def changed(kit: Kit, made: Deployed, **values: Any) -> None:
    async with kit.database.transaction() as session:
        instance = await session.get_one(InstanceRow, made.instance.id)
        for name, value in values.items():
            setattr(instance, name, value)


async def flow_of(kit: Kit, row: ExecutionRow) -> InstanceFlowRow:
    async with kit.database.snapshot() as session:
        return await session.get_one(InstanceFlowRow, row.instance_flow_id)


async def test_open_tells_all_that_an_attempt_needs(kit: Kit) -> None:
    made = await kit.made(definition({"steps": STEPS}))
    row = await kit.accepted(made, resume_from="exec_original")
    opened = await kit.executions.open_execution(open_input(row))
    assert opened.proceed
    assert opened.flow["key"] == "hello"
    assert opened.customer == {"id": made.customer.id, "external_id": None, "name": made.customer.name}
    assert opened.instance == {"id": made.instance.id, "name": made.instance.name}
    assert opened.flows == {"hello": {"webhook_url": f"https://flowgraft.example.com/hooks/{made.flow.token}"}}
    assert opened.actions == {"http.get": ActionHint(local=False), "data.map": ActionHint(local=True, lazy=["to"])}
    assert (opened.deployment_id, opened.resume_from, opened.trigger) == (made.deployment.id, "exec_original", None)


async def test_open_marks_the_execution_running(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    await kit.executions.open_execution(open_input(row))
    running = await kit.execution(row.id)
    assert (running.status, running.attempt, running.max_attempts) == (Status.RUNNING, 1, 3)
    assert (running.workflow_id, running.run_id) == (row.id, "run-1")
    assert running.started_at is not None
    assert running.handed_over_at is not None
    assert running.check_after is not None
    assert running.check_after > utcnow()


async def test_open_gives_the_payload_that_did_not_travel(kit: Kit) -> None:
    made = await kit.made(definition({}))
    row = execution(made.instance, made.flow)
    payload = Payload("POST", "/hooks/x", [("a", "1")], [("X-Shop", "north")], "application/json", b'{"id": 7}')
    row.payload_id = row.id
    async with kit.database.transaction() as session:
        sealed = kit.payloads.seal(payload, row.id, made.instance.id, NOW)
        await Executions(session).accept(Acceptance(row, sealed))
    trigger = (await kit.executions.open_execution(open_input(row, with_trigger=True))).trigger
    assert trigger is not None
    assert (trigger["body"], trigger["query"], trigger["headers"]) == ({"id": 7}, {"a": "1"}, {"x-shop": "north"})
    assert b"north" not in sealed.head


async def test_next_attempt_keeps_the_first_start(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    await kit.executions.open_execution(open_input(row))
    first = await kit.execution(row.id)
    retrying = close_input(row, Status.RETRYING, failure=FAILURE, next_attempt_at=NOW.isoformat())
    await kit.executions.close_execution(retrying)
    await kit.executions.open_execution(open_input(row, attempt=2, run_id="run-2"))
    second = await kit.execution(row.id)
    assert (second.status, second.attempt, second.run_id) == (Status.RUNNING, 2, "run-2")
    assert (second.started_at, second.next_attempt_at) == (first.started_at, None)


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.SKIPPED])
async def test_ended_execution_stays_ended(kit: Kit, status: Status) -> None:
    row = await kit.accepted(await kit.made(definition({})), status=status)
    assert not (await kit.executions.open_execution(open_input(row))).proceed
    assert (await kit.execution(row.id)).status == status


async def test_execution_that_is_gone_does_not_proceed(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    assert not (await kit.executions.open_execution(open_input(row, execution_id="exec_gone"))).proceed


async def test_deployment_that_is_gone_is_said_once(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})), deployment_id="dep_gone")
    with pytest.raises(ApplicationError) as caught:
        await kit.executions.open_execution(open_input(row))
    assert (caught.value.type, caught.value.non_retryable) == ("deployment_gone", True)


# Schedules


async def test_schedules_fire_is_recorded_as_it_opens(kit: Kit) -> None:
    made = await kit.made(definition(NIGHTLY | {"retry": {"retries": 2, "delay": "5s"}}))
    message, proceed = await fired(kit, made)
    assert proceed
    row = await kit.execution(message.execution_id)
    assert (row.status, row.trigger, row.workflow_id) == (Status.RUNNING, "schedule", message.workflow_id)
    assert (row.deployment_id, row.customer_id, row.max_attempts) == (made.deployment.id, made.customer.id, 3)
    assert row.retry["delay_seconds"] == 5.0


async def test_schedules_fire_repeated_is_the_same_execution(kit: Kit) -> None:
    made = await kit.made(definition(NIGHTLY))
    message, _ = await fired(kit, made)
    again = await kit.executions.open_execution(message)
    assert (again.proceed, len(await kit.rows(ExecutionRow))) == (True, 1)


async def test_overlapping_fire_is_skipped_visibly(kit: Kit) -> None:
    made = await kit.made(definition(NIGHTLY))
    first, _ = await fired(kit, made)
    second, proceed = await fired(kit, made)
    assert not proceed
    skipped = await kit.execution(second.execution_id)
    assert (skipped.status, skipped.reason, skipped.check_after) == (Status.SKIPPED, "overlap", None)
    assert skipped.ended_at is not None
    assert not (await kit.executions.open_execution(second)).proceed
    assert (await kit.execution(first.execution_id)).status == Status.RUNNING


async def test_fire_after_the_other_has_ended_proceeds(kit: Kit) -> None:
    made = await kit.made(definition(NIGHTLY))
    first, _ = await fired(kit, made)
    await kit.executions.close_execution(close_input(await kit.execution(first.execution_id), Status.FAILED))
    assert (await fired(kit, made))[1]


async def test_overlap_that_is_allowed(kit: Kit) -> None:
    made = await kit.made(definition({"trigger": NIGHTLY["trigger"] | {"overlap": "allow"}}))
    assert [(await fired(kit, made))[1] for _ in range(2)] == [True, True]


async def test_fire_of_a_paused_instance_is_skipped_visibly(kit: Kit) -> None:
    made = await kit.made(definition(NIGHTLY), enabled=False)
    message, proceed = await fired(kit, made)
    row = await kit.execution(message.execution_id)
    assert (proceed, row.status, row.reason) == (False, Status.SKIPPED, "paused")


@pytest.mark.parametrize("values", [{"deleting": True}, {"deployment_id": None}])
async def test_fire_of_an_instance_on_its_way_out_leaves_no_trace(kit: Kit, values: dict[str, Any]) -> None:
    made = await kit.made(definition(NIGHTLY))
    await changed(kit, made, **values)
    assert not (await fired(kit, made))[1]
    assert await kit.rows(ExecutionRow) == []


# Close


async def test_close_stands_alone(kit: Kit) -> None:
    """A cancel in the back-off closes an attempt that never opened."""
    row = await kit.accepted(await kit.made(definition({})))
    await kit.executions.close_execution(close_input(row, Status.CANCELED, attempt=2, reason="canceled"))
    closed = await kit.execution(row.id)
    assert (closed.status, closed.attempt, closed.reason, closed.check_after) == (Status.CANCELED, 2, "canceled", None)
    assert closed.ended_at is not None


async def test_close_of_an_execution_that_is_gone_is_harmless(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    await kit.executions.close_execution(close_input(row, Status.SUCCEEDED, execution_id="exec_gone"))


async def test_retrying_says_when_and_why(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    later = (NOW + timedelta(hours=1)).isoformat()
    await kit.executions.close_execution(close_input(row, Status.RETRYING, failure=FAILURE, next_attempt_at=later))
    closed = await kit.execution(row.id)
    assert (closed.status, closed.next_attempt_at, closed.ended_at) == (Status.RETRYING, NOW + timedelta(hours=1), None)
    assert closed.check_after is not None
    assert closed.error is not None
    assert (closed.error["code"], closed.error["step"]) == ("http_status", "get")
    assert not (await flow_of(kit, row)).failed
    line = (await kit.rows(LogRow))[0]
    assert (line.severity, line.step, line.attempt) == (3, "get", 1)
    assert line.message.startswith("Attempt 1 of 3 failed at step get, next one at 2026-01-02T04:04:05")


@pytest.mark.parametrize("first", [Status.SUCCEEDED, Status.FAILED, Status.CANCELED])
async def test_ended_state_is_never_overwritten(kit: Kit, first: Status) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    await kit.executions.close_execution(close_input(row, first))
    for status in (Status.FAILED, Status.SUCCEEDED, Status.RETRYING):
        await kit.executions.close_execution(close_input(row, status, attempt=3, failure=FAILURE))
    assert (await kit.execution(row.id)).status == first
    assert (await flow_of(kit, row)).failed == (first == Status.FAILED)
    assert await kit.lines(row.id) == []


async def test_older_attempt_does_not_overwrite_a_newer_one(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    await kit.executions.open_execution(open_input(row, attempt=2))
    await kit.executions.close_execution(close_input(row, Status.FAILED, attempt=1, failure=FAILURE))
    assert (await kit.execution(row.id)).status == Status.RUNNING
    await kit.executions.close_execution(close_input(row, Status.SUCCEEDED, attempt=2))
    assert (await kit.execution(row.id)).status == Status.SUCCEEDED


async def test_failure_marks_the_flow_until_a_success(kit: Kit) -> None:
    made = await kit.made(definition({}))
    failed, test, good = [await kit.accepted(made, is_test=is_test) for is_test in (False, True, False)]
    await kit.executions.close_execution(close_input(failed, Status.FAILED, failure=FAILURE))
    assert ((await flow_of(kit, failed)).failed, (await flow_of(kit, failed)).last_execution_id) == (True, failed.id)
    await kit.executions.close_execution(close_input(test, Status.SUCCEEDED))
    assert (await flow_of(kit, failed)).failed
    await kit.executions.close_execution(close_input(good, Status.SUCCEEDED))
    assert not (await flow_of(kit, failed)).failed


async def test_failure_is_told_in_the_log(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    await kit.executions.close_execution(close_input(row, Status.FAILED, failure=FAILURE))
    assert await kit.lines(row.id) == ["Execution failed at step get: http_status: GET x answered 500"]


async def test_last_control_records_are_written_at_the_close(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    at = NOW.isoformat()
    size = StepRecord("size", "size", "Size", "branch", 1, "failed", at, at, branch="Big", error=FAILURE)
    close: CloseInput = close_input(row, Status.FAILED, failure=FAILURE, records=[size])
    await kit.executions.close_execution(close)
    record = await kit.step_row(row.id, "size")
    assert (record.branch, record.status, (record.error or {})["code"]) == ("Big", "failed", "http_status")


async def test_failed_attempt_is_not_repeated_once_a_newer_delivery_has_come(kit: Kit) -> None:
    made = await kit.made(definition({}))
    older = await kit.accepted(made, unique_key="order 7")
    await kit.executions.open_execution(open_input(older))
    await kit.accepted(made, unique_key="order 8")
    again = close_input(older, Status.RETRYING, failure=FAILURE, next_attempt_at=NOW.isoformat())
    await kit.executions.close_execution(again)
    assert (await kit.execution(older.id)).status == Status.RETRYING
    await kit.executions.open_execution(open_input(older, attempt=2))
    newer = await kit.accepted(made, unique_key="order 7")
    await kit.executions.close_execution(
        close_input(older, Status.RETRYING, attempt=2, failure=FAILURE, next_attempt_at=NOW.isoformat())
    )
    row = await kit.execution(older.id)
    assert (row.status, row.reason, row.superseded_by) == (Status.CANCELED, "superseded", newer.id)
    assert (row.next_attempt_at, row.error and row.error["code"]) == (None, "http_status")
    assert row.ended_at is not None
    assert not (await kit.executions.open_execution(open_input(older, attempt=3))).proceed
    assert (await flow_of(kit, older)).last_execution_id == older.id
