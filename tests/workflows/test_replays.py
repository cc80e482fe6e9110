"""The bulk replay: turns at a rate, pauses, aborts, a stop, watching the last ones, and where a new history begins."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle

from domain.bulk import ReplayInput, ReplayPlan, ReplayProgress, ReplayTurn
from domain.messages import REPLAY_SIGNAL, REPLAY_WORKFLOW, Failure, JobEnd
from runtime.ids import new_id
from tests.fixtures.temporal import eventually
from tests.workflows.stage import PATIENCE, working


@dataclass
class Ledger:
    """The replay's activities on a number of items, each turn taking the next one."""

    total: int = 3
    plan: ReplayPlan = field(default_factory=lambda: ReplayPlan(True, 10.0))
    wish: str = "run"
    stopped: Failure | None = None
    watched: int = 0  # looks before the last replay has ended
    turns: list[int] = field(default_factory=list)
    end: JobEnd | None = None

    @activity.defn
    async def begin_replay(self, job_id: str) -> ReplayPlan:
        return self.plan

    @activity.defn
    async def replay_some(self, turn: ReplayTurn) -> ReplayProgress:
        self.turns.append(turn.position)
        if self.wish != "run":
            return ReplayProgress(turn.position, self.wish)
        if self.stopped is not None:
            return ReplayProgress(turn.position, self.wish, stopped=self.stopped)
        if turn.position < self.total:
            return ReplayProgress(turn.position + 1, self.wish)
        self.watched -= 1
        return ReplayProgress(turn.position, self.wish, all_begun=True, over=self.watched < 0)

    @activity.defn
    async def end_replay(self, end: JobEnd) -> None:
        self.end = end

    def all(self) -> list[Callable[..., Any]]:
        return [self.begin_replay, self.replay_some, self.end_replay]

    async def has_turned(self) -> bool:
        return bool(self.turns)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def task_queue(client: Client, ledger: Ledger) -> AsyncIterator[str]:
    name = new_id("queue")
    async with working(client, name, ledger.all()):
        yield name


async def start(client: Client, task_queue: str, position: int = 0) -> WorkflowHandle[Any, Any]:
    job_id = new_id("rply")
    return await client.start_workflow(REPLAY_WORKFLOW, ReplayInput(job_id, position), id=job_id, task_queue=task_queue)


async def run(client: Client, task_queue: str, position: int = 0) -> None:
    handle = await start(client, task_queue, position)
    await asyncio.wait_for(handle.result(), PATIENCE)


async def test_turns_follow_each_other_until_the_last_has_ended(
    client: Client, task_queue: str, ledger: Ledger
) -> None:
    ledger.watched = 2
    await run(client, task_queue)
    assert ledger.turns == [0, 1, 2, 3, 3, 3]
    assert ledger.end is not None
    assert (ledger.end.state, ledger.end.failure) == ("succeeded", None)


async def test_turns_keep_the_rate(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = ReplayPlan(True, 2.0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await run(client, task_queue)
    assert loop.time() - began > 2.5  # three turns of what goes out in a second


async def test_new_history_goes_on_where_the_old_one_ended(client: Client, task_queue: str, ledger: Ledger) -> None:
    await run(client, task_queue, position=2)
    assert ledger.turns == [2, 3]


async def test_pause_waits_for_somebody(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.wish = "pause"
    handle = await start(client, task_queue)
    await eventually(ledger.has_turned)
    await asyncio.sleep(0.5)
    assert ledger.turns == [0]
    ledger.wish = "run"
    await handle.signal(REPLAY_SIGNAL)
    await asyncio.wait_for(handle.result(), PATIENCE)
    assert ledger.turns[:2] == [0, 0]


async def test_abort_ends_a_long_rest_at_once(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = ReplayPlan(True, 0.01)
    handle = await start(client, task_queue)
    await eventually(ledger.has_turned)
    ledger.wish = "abort"
    await handle.signal(REPLAY_SIGNAL)
    await asyncio.wait_for(handle.result(), PATIENCE)
    assert ledger.end is not None
    assert ledger.end.state == "aborted"


async def test_stop_is_a_failure_of_the_job(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.stopped = Failure("failure_rate_exceeded", "too many")
    await run(client, task_queue)
    assert ledger.end is not None
    assert (ledger.end.state, ledger.end.failure) == ("failed", ledger.stopped)


async def test_replay_that_has_ended_is_left_alone(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = ReplayPlan(False)
    await run(client, task_queue)
    assert (ledger.turns, ledger.end) == ([], None)
