"""A log stream: look after look, pauses that a change cuts short, an end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle

from domain.messages import LOG_STREAM_SIGNAL, LOG_STREAM_WORKFLOW, LogStreamInput, LogStreamLook
from runtime.ids import new_id
from tests.workflows.stage import working

STREAM = LogStreamInput("lstr_1")


@dataclass
class Looks:
    """The activity under its real name: answers as scripted, then that the stream is over."""

    script: list[LogStreamLook] = field(default_factory=list)
    count: int = 0
    before_end: Callable[[], object] | None = None

    @activity.defn
    async def send_log_lines(self, message: LogStreamInput) -> LogStreamLook:
        assert message == STREAM
        self.count += 1
        if self.script:
            return self.script.pop(0)
        if self.before_end is not None:
            await self.before_end()  # type: ignore[misc]
        return LogStreamLook(over=True)


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
async def task_queue(client: Client, looks: Looks) -> AsyncIterator[str]:
    name = new_id("queue")
    async with working(client, name, [looks.send_log_lines]):
        yield name


async def start(client: Client, task_queue: str) -> WorkflowHandle[object, None]:
    return await client.start_workflow(LOG_STREAM_WORKFLOW, STREAM, id=new_id("job"), task_queue=task_queue)


async def test_stream_is_looked_at_until_it_is_over(client: Client, task_queue: str, looks: Looks) -> None:
    looks.script = [LogStreamLook(), LogStreamLook(again_in_seconds=0.1), LogStreamLook()]
    await asyncio.wait_for((await start(client, task_queue)).result(), 10)
    assert looks.count == 4


async def test_change_cuts_the_pause_short(client: Client, task_queue: str, looks: Looks) -> None:
    looks.script = [LogStreamLook(again_in_seconds=3600.0)]
    handle = await start(client, task_queue)
    while looks.count == 0:
        await asyncio.sleep(0.02)
    await handle.signal(LOG_STREAM_SIGNAL)
    await asyncio.wait_for(handle.result(), 10)
    assert looks.count == 2


async def test_stream_that_is_enabled_while_it_ends_goes_on(client: Client, task_queue: str, looks: Looks) -> None:
    """The look saw it disabled; the signal came before the workflow had ended."""
    handle = await start(client, task_queue)

    async def enable() -> None:
        looks.before_end = None
        await handle.signal(LOG_STREAM_SIGNAL)

    looks.before_end = enable
    await asyncio.wait_for(handle.result(), 10)
    assert looks.count == 2


async def test_history_is_left_behind_now_and_then(client: Client, task_queue: str, looks: Looks) -> None:
    looks.script = [LogStreamLook() for _ in range(450)]
    handle = await start(client, task_queue)
    await asyncio.wait_for(handle.result(), 60)
    assert looks.count == 451
    described = await client.get_workflow_handle(handle.id).describe()
    assert described.run_id != handle.first_execution_run_id
    assert described.history_length < 2_000
