import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from domain.executions import RetryRule, Status
from domain.messages import CONNECTION_SIGNAL, WaitInput
from tests.workflows.stage import PATIENCE, Fakes, Stage, get, step_error

NO_ACCESS: dict[str, Any] = {"code": "connection_needs_reauth", "connection_id": "conn_1"}


def ask() -> dict[str, Any]:
    return get("get", connection="shop")


async def asked(fakes: Fakes) -> None:
    await asyncio.wait_for(fakes.asked.wait(), PATIENCE)
    fakes.asked.clear()


@pytest.mark.parametrize("local_first", [[], ["get"]], ids=["regular", "local first"])
async def test_step_goes_on_when_its_connection_works_again(stage: Stage, fakes: Fakes, local_first: list[str]) -> None:
    fakes.opened = {"waits": True, "local_first": local_first}
    fakes.script["get"], fakes.works = [step_error(**NO_ACCESS), "found"], [False, False]
    handle = await stage.start(ask(), get("next"), timeout="2s", retry=RetryRule(3, 1))
    await asked(fakes)
    await handle.signal(CONNECTION_SIGNAL)  # too early: it still does not work
    await asked(fakes)
    await asyncio.sleep(2.5)  # the flow's time stands still
    assert fakes.closes == []
    await handle.signal(CONNECTION_SIGNAL)
    await asyncio.wait_for(handle.result(), PATIENCE)
    assert fakes.paths == ["get", "get", "next"]
    assert (fakes.close.status, fakes.close.attempt) == (Status.SUCCEEDED, 1)
    assert fakes.waits == [WaitInput(handle.id, 1, "conn_1")] * 3
    assert [step.waits for step in fakes.steps] == [True, True, False]


async def test_flow_that_does_not_wait_fails(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = step_error(**NO_ACCESS)
    close = await stage.run(ask())
    assert (close.status, close.failure and close.failure.code) == (Status.FAILED, "connection_needs_reauth")
    assert fakes.waits == []


async def test_time_of_the_flow_goes_on_after_a_wait(stage: Stage, fakes: Fakes) -> None:
    fakes.opened = {"waits": True}
    fakes.script["get"], fakes.works = [step_error(**NO_ACCESS), "found"], [False]
    handle = await stage.start(ask(), {"key": "nap", "sleep": "1h"}, timeout="1s")
    await asked(fakes)
    await asyncio.sleep(1.2)
    await handle.signal(CONNECTION_SIGNAL)
    await fakes.is_closed()
    assert fakes.close.failure is not None
    assert fakes.close.failure.code == "flow_timeout"


async def test_cancel_while_it_waits(stage: Stage, fakes: Fakes) -> None:
    fakes.opened = {"waits": True}
    fakes.script["get"], fakes.works = step_error(**NO_ACCESS), [False]
    handle = await stage.start(ask())
    await asked(fakes)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), PATIENCE)
    assert fakes.close.status == Status.CANCELED
    assert [(record.path, record.status) for record in fakes.close.records] == [("get", "canceled")]
