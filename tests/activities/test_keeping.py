"""What an instance wants kept of its executions."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from activities.keeping import Keeping
from activities.records import Log
from domain.executions import Status
from domain.logs import LOG_LEVELS, SEVERITIES
from domain.messages import Failure
from runtime.clock import utcnow
from store.retention import Expired
from store.tables import ExecutionRow, InstanceRow
from tests.activities.kit import Kit, close_input, definition, open_input, run_step_input
from tests.factories import NOW, Deployed

SAY = {"key": "step", "action": "log.write", "inputs": {"message": "Hello"}}


async def made(kit: Kit, **of_instance: Any) -> Deployed:
    return await kit.made(definition({"steps": [SAY]}), **of_instance)


async def said(kit: Kit, row: ExecutionRow, level: str, path: str = "step") -> list[str]:
    await kit.step(run_step_input(row, "log.write", {"message": f"Said {level}", "level": level}, path=path))
    return await kit.lines(row.id)


async def failed(kit: Kit, row: ExecutionRow, status: Status = Status.FAILED, **given: Any) -> ExecutionRow:
    failure = Failure("http_status", "The shop said 500", "step")
    await kit.environment.run(kit.executions.close_execution, close_input(row, status, failure=failure, **given))
    return await kit.execution(row.id)


@pytest.mark.parametrize("level", LOG_LEVELS)
async def test_lines_from_a_severity_on_are_kept(kit: Kit, level: str) -> None:
    world = await made(kit, log_level=level)
    log = Log()
    for severity in SEVERITIES:
        log(severity, severity)
    async with kit.database.transaction() as session:
        await Keeping().sift(session, world.instance.id, log)
    kept = SEVERITIES[LOG_LEVELS.index(level) :]
    assert [message for _, _, message in log.lines] == list(kept)


async def test_steps_and_ends_leave_only_those_lines(kit: Kit) -> None:
    row = await kit.accepted(await made(kit, log_level="warn"))
    assert await said(kit, row, "info") == []
    assert await said(kit, row, "warn", "other") == ["Said warn"]
    await failed(kit, row)
    assert (await kit.lines(row.id))[1] == "Execution failed at step step: http_status: The shop said 500"


async def test_instance_without_logs_has_none(kit: Kit) -> None:
    row = await kit.accepted(await made(kit, log_level="none"))
    assert await said(kit, row, "fatal") == []
    await failed(kit, row)
    assert await kit.lines(row.id) == []


async def test_change_is_noticed_after_a_while(kit: Kit) -> None:
    world = await made(kit)
    for seconds, kept in ((60.0, 1), (0.0, 0)):
        keeping = Keeping(held_seconds=seconds)
        for level in ("trace", "none"):
            async with kit.database.transaction() as session:
                change = update(InstanceRow).where(InstanceRow.id == world.instance.id).values(log_level=level)
                await session.execute(change)
                log = Log()
                log("info", "Hello")
                await keeping.sift(session, world.instance.id, log)
        assert len(log.lines) == kept


async def test_instance_that_is_gone_keeps_everything(kit: Kit) -> None:
    log = Log()
    log("trace", "Hello")
    async with kit.database.transaction() as session:
        await Keeping().sift(session, "inst_gone", log)
        await Keeping().end(session, "inst_gone", "exec_gone", NOW)
    assert len(log.lines) == 1


async def test_values_of_steps_go_with_the_end(kit: Kit) -> None:
    """Until then they are what makes repeats harmless."""
    row = await kit.accepted(await made(kit, step_outputs_disabled=True))
    await kit.environment.run(kit.executions.open_execution, open_input(row))
    await kit.step(run_step_input(row, "data.object", {"values": {"a": 1}}))
    again = await kit.step(run_step_input(row, "data.object", {"values": {"a": 2}}))
    assert again == {"a": 1}
    retrying = await failed(kit, row, Status.RETRYING, next_attempt_at="2026-03-01T12:00:00+00:00")
    assert retrying.step_values_removed_at is None
    assert (await kit.step_row(row.id, "step")).output is not None
    ended = await failed(kit, row, attempt=2)
    step = await kit.step_row(row.id, "step")
    assert ended.step_values_removed_at is not None
    assert (step.status, step.inputs, step.output, step.output_size > 0) == ("succeeded", None, None, True)


async def test_values_of_steps_stay_otherwise(kit: Kit) -> None:
    row = await kit.accepted(await made(kit))
    await kit.step(run_step_input(row, "data.object", {"values": {"a": 1}}))
    ended = await failed(kit, row)
    assert ended.step_values_removed_at is None
    assert (await kit.step_row(row.id, "step")).output is not None


async def answered(kit: Kit, **of_execution: Any) -> ExecutionRow:
    """One that has ended well, of an instance that keeps no values. Its second step is what it came to."""
    row = await kit.accepted(await made(kit, step_outputs_disabled=True), **of_execution)
    await kit.environment.run(kit.executions.open_execution, open_input(row))
    for position, path in enumerate(("first", "step")):
        await kit.step(run_step_input(row, "data.object", {"values": {}}, path=path, position=position))
    await kit.environment.run(kit.executions.close_execution, close_input(row, Status.SUCCEEDED))
    return await kit.execution(row.id)


async def kept(kit: Kit, row: ExecutionRow) -> list[tuple[bool, bool]]:
    """By step, whether its inputs and its output are there."""
    steps = [await kit.step_row(row.id, path) for path in ("first", "step")]
    return [(step.inputs is not None, step.output is not None) for step in steps]


async def forgotten(kit: Kit, later: timedelta) -> int:
    async with kit.database.transaction() as session:
        return await Expired(session).forget_answers(utcnow() + later, 10)


async def test_what_a_webhook_came_to_stays_while_its_sender_may_wait(kit: Kit) -> None:
    row = await answered(kit)
    assert (await kept(kit, row), row.step_values_removed_at) == ([(False, False), (False, True)], None)
    assert await forgotten(kit, timedelta(seconds=30)) == 0  # nobody waits longer than that
    assert await forgotten(kit, timedelta(seconds=61)) == 1
    row = await kit.execution(row.id)
    assert (row.step_values_removed_at is not None, row.answer_until) == (True, None)
    assert await kept(kit, row) == [(False, False), (False, False)]
    assert await forgotten(kit, timedelta(days=1)) == 0


async def test_what_a_called_flow_came_to_stays_while_its_caller_is_open(kit: Kit) -> None:
    caller = await kit.accepted(await made(kit), status=Status.RUNNING)
    row = await answered(kit, trigger="flow", invoked_by=caller.id, is_awaited=True)
    assert await forgotten(kit, timedelta(days=1)) == 0
    assert await kept(kit, row) == [(False, False), (False, True)]
    await failed(kit, caller, attempt=1)
    assert await forgotten(kit, timedelta(days=1)) == 1


async def test_what_nobody_waits_for_goes_with_the_end(kit: Kit) -> None:
    row = await answered(kit, trigger="schedule")
    assert (await kept(kit, row), row.answer_until) == ([(False, False), (False, False)], None)
    assert row.step_values_removed_at is not None
