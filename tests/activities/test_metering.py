"""What is counted, and that repeating an activity counts nothing twice. Each test has an integration of its own."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from components.base import Action, ActionContext, Component, Inputs
from domain.errors import StepFailed
from domain.executions import Status
from domain.messages import Failure, OpenInput
from runtime.clock import utcnow
from runtime.metrics import REGISTRY
from store.tables import ExecutionRow
from tests.activities.kit import Kit, close_input, definition, open_input, run_step_input
from tests.factories import Deployed, an_id, execution
from tests.fakes import response

URL = {"url": "https://api.example.com/orders"}
FAILURE = Failure("http_status", "GET x answered 500", "get", transient=True)
_numbers = count(1)


class NoInputs(Inputs):
    pass


async def made(kit: Kit, *flows: dict[str, Any]) -> Deployed:
    own = definition(*flows or ({},)).model_copy(update={"key": f"counted-{next(_numbers)}"})
    return await kit.made(own)


def told(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"flowgraft_{name}", labels) or 0.0


def of(kit_made: Deployed, name: str, **labels: str) -> float:
    return told(name, integration=kit_made.integration.key, flow=kit_made.flow.key, **labels)


def tries(outcomes: Sequence[str], component: str = "http", action: str = "get") -> dict[str, float]:
    return {
        outcome: told("step_attempts_total", component=component, action=action, outcome=outcome)
        for outcome in outcomes
    }


async def test_execution_is_counted_when_it_first_opens_and_when_it_ends(kit: Kit) -> None:
    flow = await made(kit)
    row = await kit.accepted(flow)
    for _ in range(2):
        await kit.executions.open_execution(open_input(row))
    assert of(flow, "executions_started_total", trigger="webhook") == 1
    for _ in range(2):
        await kit.executions.close_execution(close_input(row, Status.SUCCEEDED))
    assert of(flow, "executions_finished_total", status="succeeded") == 1
    assert of(flow, "execution_duration_seconds_count", status="succeeded") == 1
    assert 0 < of(flow, "execution_duration_seconds_sum", status="succeeded") < 60


async def test_next_attempt_is_neither_a_start_nor_an_end(kit: Kit) -> None:
    flow = await made(kit)
    row = await kit.accepted(flow)
    await kit.executions.open_execution(open_input(row))
    await kit.executions.close_execution(close_input(row, Status.RETRYING, failure=FAILURE))
    await kit.executions.open_execution(open_input(row, attempt=2))
    await kit.executions.close_execution(close_input(row, Status.FAILED, attempt=2, failure=FAILURE))
    assert of(flow, "executions_started_total", trigger="webhook") == 1
    assert of(flow, "executions_finished_total", status="retrying") == 0
    assert of(flow, "executions_finished_total", status="failed") == 1


async def test_execution_that_never_opened_has_no_duration(kit: Kit) -> None:
    flow = await made(kit)
    row = await kit.accepted(flow)
    await kit.executions.close_execution(close_input(row, Status.CANCELED))
    assert of(flow, "executions_finished_total", status="canceled") == 1
    assert of(flow, "execution_duration_seconds_count", status="canceled") == 0


async def test_what_is_rolled_back_is_not_counted(kit: Kit) -> None:
    flow = await made(kit)
    row = await kit.accepted(flow, deployment_id="dep_gone")
    with pytest.raises(ApplicationError):
        await kit.executions.open_execution(open_input(row))
    assert of(flow, "executions_started_total", trigger="webhook") == 0


async def fired(kit: Kit, flow: Deployed, late: timedelta) -> ExecutionRow:
    row = execution(flow.instance, flow.flow, id=an_id("exec"))
    message = open_input(row, deployment_id="", nominal_at=(utcnow() - late).isoformat())
    for _ in range(2):
        await kit.executions.open_execution(OpenInput(**vars(message)))
    return row


async def test_lag_of_a_schedule_and_what_it_skips(kit: Kit) -> None:
    flow = await made(kit, {"trigger": {"type": "schedule", "cron": "0 3 * * *"}})
    await fired(kit, flow, timedelta(seconds=20))
    assert of(flow, "schedule_lag_seconds_count") == 1
    assert 20 <= of(flow, "schedule_lag_seconds_sum") < 60
    assert of(flow, "executions_started_total", trigger="schedule") == 1

    await fired(kit, flow, timedelta(0))
    assert of(flow, "schedule_lag_seconds_count") == 2
    assert of(flow, "executions_started_total", trigger="schedule") == 1
    assert of(flow, "executions_finished_total", status="skipped") == 1


async def test_step_is_counted_when_it_is_done_not_when_it_is_remembered(kit: Kit) -> None:
    row = await kit.accepted(await made(kit))
    message = run_step_input(row, "http.get", URL)
    before = tries(["succeeded"])["succeeded"]
    seconds = told("step_duration_seconds_count", component="http", action="get", outcome="succeeded")
    for _ in range(2):
        await kit.step(message)
    assert tries(["succeeded"]) == {"succeeded": before + 1}
    assert told("step_duration_seconds_count", component="http", action="get", outcome="succeeded") == seconds + 1


async def test_each_try_of_a_step_is_counted(kit: Kit) -> None:
    row = await kit.accepted(await made(kit))
    kit.http.script = [response(500)]
    before = tries(["again", "failed"])
    message = run_step_input(row, "http.get", URL, tries=3)
    for _ in range(3):
        await kit.step_fails(message)
    assert tries(["again", "failed"]) == {"again": before["again"] + 2, "failed": before["failed"] + 1}


async def test_local_step_is_counted_too(kit: Kit) -> None:
    async def act(context: ActionContext, inputs: NoInputs) -> Any:
        raise StepFailed("No", code="no", permanent=True)

    component = Component("acme", "Acme", (Action("act", NoInputs, act, "Acts", local=True),))
    kit = Kit(kit.database, plugins=(component,))
    row = await kit.accepted(await made(kit))
    before = tries(["failed"], "acme", "act")["failed"]
    await kit.step_fails(run_step_input(row, "acme.act", {}))
    assert tries(["failed"], "acme", "act") == {"failed": before + 1}


async def test_action_that_does_not_exist_makes_no_label(kit: Kit) -> None:
    row = await kit.accepted(await made(kit))
    before = tries(["failed"], "unknown", "unknown")["failed"]
    await kit.step_fails(run_step_input(row, "acme.frobnicate", {}))
    assert tries(["failed"], "unknown", "unknown") == {"failed": before + 1}
    assert tries(["failed"], "acme", "frobnicate") == {"failed": 0}
