"""An attempt that waits for a slot of its queue."""

import asyncio

from domain.executions import Status
from tests.workflows.stage import PATIENCE, Stage

SAY = {"key": "say", "action": "log.write", "inputs": {"message": "Hello"}}


async def test_an_attempt_without_a_slot_waits_for_its_turn(stage: Stage) -> None:
    stage.fakes.opened = {"parked": True}
    handle = await stage.start(SAY)
    await handle.signal("turn")  # it looks again, and somebody else has the slot
    while len(stage.fakes.opens) < 2:
        await asyncio.sleep(0.02)
    assert stage.fakes.steps == []
    stage.fakes.opened = {}
    await handle.signal("turn")
    await asyncio.wait_for(handle.result(), PATIENCE)
    assert (stage.fakes.paths, stage.fakes.close.status) == (["say"], Status.SUCCEEDED)


async def test_canceled_while_it_waits_for_its_turn_no_attempt_has_begun(stage: Stage) -> None:
    stage.fakes.opened = {"parked": True}
    handle = await stage.start(SAY)
    while not stage.fakes.opens:
        await asyncio.sleep(0.02)
    await handle.cancel()
    await stage.fakes.is_closed()
    assert (stage.fakes.close.status, stage.fakes.close.attempt) == (Status.CANCELED, 0)
