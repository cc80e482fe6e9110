from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionResult,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy

from activities.handover import retry_policy
from domain.executions import RetryRule, Status, scheduled_execution_id
from domain.messages import DELIVERY_SIGNAL, EXECUTION_WORKFLOW, ExecutionInput
from runtime.ids import new_id
from tests.fixtures.temporal import eventually
from tests.workflows.stage import Fakes, Stage, get, step_error

SIMPLE = {"key": "hello", "trigger": {"type": "schedule", "cron": "0 3 * * *"}, "steps": [get("get")]}
FLOW_ID = SearchAttributeKey.for_keyword("InstanceFlowId")


async def scheduled(stage: Stage, given: ExecutionInput) -> tuple[str, WorkflowHandle[object, object]]:
    """One fire of a real schedule: its id, and the workflow that it started."""
    name = new_id("schedule")
    attributes = TypedSearchAttributes([SearchAttributePair(FLOW_ID, name)])
    action = ScheduleActionStartWorkflow(
        EXECUTION_WORKFLOW,
        given,
        id=name,
        task_queue=stage.task_queue,
        retry_policy=retry_policy(given.retry),
        typed_search_attributes=attributes,
    )
    schedule = await stage.client.create_schedule(name, Schedule(action=action, spec=ScheduleSpec()))
    await schedule.trigger()

    async def fires() -> Sequence[ScheduleActionResult]:
        return (await schedule.describe()).info.recent_actions

    started = (await eventually(fires))[0].action
    assert isinstance(started, ScheduleActionExecutionStartWorkflow)
    return name, stage.client.get_workflow_handle(started.workflow_id)


async def test_schedule_gives_the_execution_its_id_and_nominal_time(stage: Stage, fakes: Fakes) -> None:
    fakes.flow = SIMPLE
    name, handle = await scheduled(stage, ExecutionInput("flow_1"))
    result = await handle.result()
    opened = fakes.opens[0]
    assert opened.nominal_at is not None
    nominal = datetime.fromisoformat(opened.nominal_at)
    assert opened.execution_id == scheduled_execution_id(name, nominal)
    assert nominal.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") == handle.id.removeprefix(f"{name}-")
    assert (opened.workflow_id, opened.deployment_id, opened.with_trigger) == (handle.id, "", True)
    assert result == opened.execution_id
    close = fakes.close
    assert (close.execution_id, close.nominal_at, close.deployment_id) == (
        opened.execution_id,
        opened.nominal_at,
        "dep_1",
    )
    assert (await handle.describe()).typed_search_attributes[SearchAttributeKey.for_keyword("Outcome")] == "succeeded"


async def test_schedules_execution_keeps_its_id_over_its_attempts(stage: Stage, fakes: Fakes) -> None:
    fakes.flow, fakes.script["get"] = SIMPLE, [step_error(), 1]
    _, handle = await scheduled(stage, ExecutionInput("flow_1", retry=RetryRule(2, 1)))
    await handle.result()
    first, second = fakes.opens
    assert (first.execution_id, first.nominal_at) == (second.execution_id, second.nominal_at)
    assert [(each.status, each.attempt) for each in fakes.closes] == [(Status.RETRYING, 1), (Status.SUCCEEDED, 2)]


async def test_execution_that_must_not_proceed_runs_and_closes_nothing(stage: Stage, fakes: Fakes) -> None:
    fakes.opened = {"proceed": False, "flow": {}}
    handle = await stage.start(get("never"))
    assert await handle.result() == handle.id
    assert (fakes.steps, fakes.closes) == ([], [])


async def test_payload_that_travelled_is_not_read_again(stage: Stage, fakes: Fakes) -> None:
    fakes.opened = {"trigger": {"body": "of the ledger", "headers": {}}}
    await stage.run(get("get", "{{ trigger.body.id }}"))
    assert (fakes.opens[0].with_trigger, fakes.steps[0].inputs) == (False, {"value": 7})


async def test_payload_that_stayed_behind_is_read(stage: Stage, fakes: Fakes) -> None:
    fakes.opened = {"trigger": {"body": "of the ledger", "headers": {}}}
    fakes.flow = SIMPLE | {"steps": [get("get", "{{ trigger.body }}")]}
    execution_id = new_id("exec")
    given = ExecutionInput("flow_1", execution_id, "dep_1")
    await stage.client.execute_workflow(EXECUTION_WORKFLOW, given, id=execution_id, task_queue=stage.task_queue)
    assert (fakes.opens[0].with_trigger, fakes.steps[0].inputs) == (True, {"value": "of the ledger"})


async def test_attempts_before_this_chain_are_counted(stage: Stage, fakes: Fakes) -> None:
    fakes.flow, fakes.script["get"] = SIMPLE, step_error()
    execution_id = new_id("exec")
    given = ExecutionInput("flow_1", execution_id, "dep_1", RetryRule(3, 1), base_attempt=2)
    handle = await stage.client.start_workflow(
        EXECUTION_WORKFLOW,
        given,
        id=execution_id,
        task_queue=stage.task_queue,
        retry_policy=retry_policy(given.retry, 2),
    )
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert [(each.status, each.attempt, each.max_attempts) for each in fakes.closes] == [(Status.FAILED, 3, 3)]


async def delivered(client: Client, stage: Stage, execution_id: str) -> WorkflowHandle[object, object]:
    return await client.start_workflow(
        EXECUTION_WORKFLOW,
        ExecutionInput("flow_1", execution_id, "dep_1"),
        id=execution_id,
        task_queue=stage.task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        start_signal=DELIVERY_SIGNAL,
        start_signal_args=[execution_id],
    )


async def test_repeated_delivery_is_harmless(stage: Stage, fakes: Fakes, client: Client) -> None:
    fakes.flow = SIMPLE | {"steps": [get("get"), {"key": "nap", "sleep": "300ms"}]}
    execution_id = new_id("exec")
    handle = await delivered(client, stage, execution_id)
    await fakes.step_has_begun()
    await delivered(client, stage, execution_id)
    await handle.signal(DELIVERY_SIGNAL, execution_id)
    await handle.result()
    assert [step.path for step in fakes.steps] == ["get"]
    assert [close.status for close in fakes.closes] == [Status.SUCCEEDED]
