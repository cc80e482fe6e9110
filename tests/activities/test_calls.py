"""Calling a flow of the same instance: once, at a bounded depth, and what its caller is told."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from temporalio.exceptions import ApplicationError

from activities.calls import CallActivities
from activities.handover import Handover, Starter
from activities.records import value_context
from domain.messages import Called, CallInput, Failure
from runtime.clock import utcnow
from store.engine import Database
from store.executions import Executions
from store.steps import Record, Steps
from store.tables import ExecutionRow, InstanceFlowRow
from tests.activities.kit import Kit, definition
from tests.factories import Deployed, instance_flow, save
from tests.fixtures.temporal import KEYRING

TWO = definition({}, {"key": "other", "trigger": {"type": "flow"}})


@dataclass
class Started:
    """In place of Temporal."""

    away: bool = False
    handovers: list[Handover] = field(default_factory=list)

    async def start(self, handover: Handover) -> None:
        if self.away:
            raise ConnectionError("away")
        self.handovers.append(handover)


@dataclass
class Setting:
    kit: Kit
    made: Deployed
    started: Started
    calls: CallActivities

    async def caller(self, **given: Any) -> ExecutionRow:
        return await self.kit.accepted(self.made, status="running", **given)

    async def call(self, caller: ExecutionRow, flow: str = "other", path: str = "ask", **given: Any) -> Called:
        return await self.calls.call_flow(CallInput(caller.id, 1, path, flow, {"order": 7}, **given))

    async def end(self, execution_id: str, status: str, output: Any = None, **given: Any) -> None:
        now = utcnow()
        async with self.kit.database.transaction() as session:
            values = {"status": status, "attempt": 1, "ended_at": now} | given
            await Executions(session).move(execution_id, 1, values)
            sealed = KEYRING.encrypt_json(output, value_context(execution_id, 1, "last", "output"))
            names: dict[str, Any] = {
                "path": "last",
                "key": "last",
                "name": "Last",
                "component": "http",
                "action": "get",
            }
            at: dict[str, Any] = {"attempt": 1, "position": 1, "iteration": [], "started_at": now}
            await Steps(session).record(
                [Record(execution_id=execution_id, status=status, output=sealed, **names, **at)]
            )


@pytest.fixture
async def setting(database: Database) -> Setting:
    kit, started = Kit(database), Started()
    made = await kit.made(TWO)
    async with database.transaction() as session:
        await save(session, instance_flow(made.instance, "other", 1, trigger="flow"))
    calls = CallActivities(database, KEYRING, kit.deployments, kit.payloads, cast(Starter, started))
    return Setting(kit, made, started, calls)


async def test_call_is_accepted_once_with_its_lineage(setting: Setting) -> None:
    caller = await setting.caller(is_test=True)
    first, again = await setting.call(caller), await setting.call(caller)
    assert first == again
    row = await setting.kit.execution(first.execution_id)
    assert (row.invoked_by, row.invoked_path, row.call_depth, row.is_awaited) == (caller.id, "ask", 1, True)
    assert (row.trigger, row.is_test, row.deployment_id) == ("flow", True, caller.deployment_id)
    assert [each.execution_id for each in setting.started.handovers] == [row.id]
    assert setting.started.handovers[0].trigger is not None
    assert setting.started.handovers[0].trigger["body"] == {"order": 7}


async def test_call_stands_while_temporal_is_away(setting: Setting) -> None:
    setting.started.away = True
    called = await setting.call(await setting.caller())
    row = await setting.kit.execution(called.execution_id)
    assert (row.status, row.handed_over_at) == ("queued", None)  # upkeep starts it


async def test_later_attempt_calls_again_only_what_has_failed(setting: Setting) -> None:
    caller = await setting.caller()
    called = await setting.call(caller)
    second = CallInput(caller.id, 2, "ask", "other")
    await setting.end(called.execution_id, "succeeded")
    assert await setting.calls.call_flow(second) == called
    async with setting.kit.database.transaction() as session:
        row = await session.get_one(ExecutionRow, called.execution_id)
        row.status = "failed"
    other = await setting.calls.call_flow(second)
    assert other.execution_id != called.execution_id
    assert await setting.calls.call_flow(second) == other


async def test_replay_from_the_failed_step_keeps_what_came_of_it(setting: Setting) -> None:
    original, replay = await setting.caller(), await setting.caller()
    await setting.end(original.id, "succeeded", {"paid": 7})
    kept = await setting.call(replay, path="last", resume_from=original.id)
    assert (kept.kept, kept.value) == (True, {"paid": 7})
    assert setting.started.handovers == []


async def test_calls_have_a_depth(setting: Setting) -> None:
    assert (await setting.call(await setting.caller(call_depth=9))).execution_id
    with pytest.raises(ApplicationError) as caught:
        await setting.call(await setting.caller(call_depth=10))
    assert (caught.value.type, caught.value.non_retryable) == ("call_too_deep", True)


async def test_flow_may_go_on_by_itself_once_however_deep(setting: Setting) -> None:
    caller = await setting.caller(call_depth=10)
    called = await setting.call(caller, "hello", waits=False)
    assert (await setting.kit.execution(called.execution_id)).call_depth == 10
    assert await setting.call(caller, "hello", waits=False) == called
    with pytest.raises(ApplicationError) as caught:
        await setting.call(caller, "hello", path="twice", waits=False)
    assert caught.value.type == "called_again"


async def test_flow_that_is_not_there_is_named(setting: Setting) -> None:
    with pytest.raises(ApplicationError) as caught:
        await setting.call(await setting.caller(), "nowhere")
    assert (caught.value.type, "nowhere" in str(caught.value)) == ("not_found", True)


async def test_instance_that_is_being_deleted_calls_nothing(setting: Setting) -> None:
    caller = await setting.caller()
    async with setting.kit.database.transaction() as session:
        instance = await session.get_one(type(setting.made.instance), setting.made.instance.id)
        instance.deleting = True
    with pytest.raises(ApplicationError) as caught:
        await setting.call(caller)
    assert caught.value.type == "instance_deleting"


async def test_caller_sees_how_the_called_one_is(setting: Setting) -> None:
    called = (await setting.call(await setting.caller())).execution_id
    assert not (await setting.calls.look_at_called(called)).ended
    await setting.end(called, "succeeded", {"paid": 7})
    sight = await setting.calls.look_at_called(called)
    assert (sight.ended, sight.value, sight.failure) == (True, {"paid": 7}, None)


async def test_failure_of_the_called_one_is_told(setting: Setting) -> None:
    called = (await setting.call(await setting.caller())).execution_id
    error = {"code": "http_status", "message": "It answered 404", "step": "post"}
    await setting.end(called, "failed", error=error)
    failure = (await setting.calls.look_at_called(called)).failure
    message = f"The called execution {called} has failed: http_status: It answered 404"
    assert failure == Failure("called_flow_failed", message, details={"execution_id": called})
    gone = await setting.calls.look_at_called("exec_gone")
    assert gone.failure is not None


async def test_queue_of_the_called_flow_counts(setting: Setting) -> None:
    queued = {"key": "other", "trigger": {"type": "flow"}, "concurrency": {"mode": "sequential"}}
    made = await setting.kit.made(definition({}, queued))
    async with setting.kit.database.transaction() as session:
        row: InstanceFlowRow = instance_flow(made.instance, "other", 1, trigger="flow")
        row.concurrency = {"mode": "sequential"}
        await save(session, row)
    caller = await setting.kit.accepted(made, status="running")
    called = await setting.call(caller)
    assert (await setting.kit.execution(called.execution_id)).reason == "queued_behind"
    assert setting.started.handovers[0].queued
