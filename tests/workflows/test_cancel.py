import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError

from domain.executions import RetryRule, Status
from domain.messages import RunStepInput
from tests.workflows.stage import Fakes, Stage, forever, get, say, step_error

RETRY = RetryRule(max_attempts=3, delay_seconds=60)


async def canceled(handle: WorkflowHandle[Any, Any]) -> None:
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await asyncio.wait_for(handle.result(), 10)
    assert isinstance(caught.value.cause, CancelledError)


async def test_cancel_while_a_step_runs_in_the_world(stage: Stage, fakes: Fakes) -> None:
    fakes.script["all.get"] = forever
    handle = await stage.start({"key": "all", "branch": [{"name": "x", "else": True, "steps": [get("get")]}]})
    await fakes.step_has_begun()
    await canceled(handle)
    assert (fakes.close.status, fakes.close.reason, fakes.close.failure) == (Status.CANCELED, "canceled", None)
    assert [(record.path, record.kind, record.status) for record in fakes.close.records] == [
        ("all.get", "http.get", "canceled"),
        ("all", "branch", "canceled"),
    ]


async def test_cancel_makes_no_further_attempt(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = forever
    handle = await stage.start(get("get", on_error={"then": "continue"}), get("never"), retry=RetryRule(3, 1))
    await fakes.step_has_begun()
    await canceled(handle)
    assert fakes.paths == ["get"]
    assert [each.status for each in fakes.closes] == [Status.CANCELED]


@pytest.mark.parametrize("step", [say("step"), get("step")], ids=["local", "local first"])
async def test_cancel_while_a_local_step_runs(stage: Stage, fakes: Fakes, step: dict[str, Any]) -> None:
    async def slow(_: RunStepInput) -> None:
        await asyncio.sleep(0.5)

    fakes.opened, fakes.script["step"] = {"local_first": ["step"]}, slow
    handle = await stage.start(step, get("never"))
    await fakes.step_has_begun()
    await canceled(handle)
    # Once or twice: the server refuses the end of a workflow task that has not seen the cancel, and it is done again.
    assert {each.status for each in fakes.closes} == {Status.CANCELED}


async def test_cancel_while_it_sleeps(stage: Stage, fakes: Fakes) -> None:
    handle = await stage.start(get("get"), {"key": "nap", "sleep": "1h"})
    await fakes.step_has_begun()
    await asyncio.sleep(0.2)
    await canceled(handle)
    assert fakes.close.status == Status.CANCELED
    assert [(record.path, record.status) for record in fakes.close.records] == [("nap", "canceled")]


async def test_cancel_during_the_back_off(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = step_error(transient=True)
    handle = await stage.start(get("get"), retry=RETRY)
    await fakes.is_closed()
    assert fakes.close.status == Status.RETRYING
    await canceled(handle)
    assert len(fakes.opens) == len(fakes.steps) == 1
    assert [each.status for each in fakes.closes] == [Status.RETRYING, Status.CANCELED]
    assert (fakes.close.execution_id, fakes.close.deployment_id) == (fakes.steps[0].execution_id, "dep_1")


async def test_flow_timeout_in_a_step(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = forever
    close = await stage.run(get("get"), get("never"), timeout="500ms")
    assert fakes.paths == ["get"]
    assert close.failure is not None
    assert (close.status, close.failure.code, close.failure.transient) == (Status.FAILED, "flow_timeout", True)
    assert [(record.path, record.status) for record in close.records] == [("get", "canceled")]


async def test_flow_timeout_is_per_attempt(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = [forever, 1]
    await stage.run(get("get"), retry=RetryRule(2, 1), timeout="500ms")
    assert [(each.status, each.attempt) for each in fakes.closes] == [(Status.RETRYING, 1), (Status.SUCCEEDED, 2)]


async def test_flow_timeout_while_it_sleeps(stage: Stage, fakes: Fakes) -> None:
    close = await stage.run({"key": "nap", "sleep": "1h"}, timeout="200ms")
    assert close.failure is not None
    assert close.failure.code == "flow_timeout"
    assert [(record.path, record.status) for record in close.records] == [("nap", "canceled")]
