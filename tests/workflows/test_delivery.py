"""A message on its way: as often as the activity says, with the pauses that it says. And the sweep."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from time import perf_counter

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from domain.messages import DELIVER_WORKFLOW, WATCH_WORKFLOW
from domain.sweeps import Delivered, DeliverInput, WatchInput, WatchReport
from runtime.ids import new_id
from tests.workflows.stage import working


@dataclass
class Post:
    """Activities under the real names."""

    waits: list[float | Exception | None] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    sweeps: list[bool] = field(default_factory=list)

    @activity.defn
    async def deliver(self, message: DeliverInput) -> Delivered:
        self.attempts.append(message.delivery_id)
        wait = self.waits.pop(0)
        if isinstance(wait, Exception):
            raise wait
        return Delivered(wait)

    @activity.defn
    async def watch(self, message: WatchInput) -> WatchReport:
        self.sweeps.append(message.look)
        return WatchReport(told=3)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def task_queue(client: Client, post: Post) -> AsyncIterator[str]:
    name = new_id("queue")
    async with working(client, name, [post.deliver, post.watch]):
        yield name


async def test_message_is_attempted_until_there_is_nothing_to_wait_for(
    client: Client, task_queue: str, post: Post
) -> None:
    post.waits = [0.2, 0.3, None]
    began = perf_counter()
    await client.execute_workflow(DELIVER_WORKFLOW, DeliverInput("dlv_1"), id=new_id("dlv"), task_queue=task_queue)
    assert post.attempts == ["dlv_1"] * 3
    assert perf_counter() - began >= 0.5


async def test_attempt_that_the_ledger_could_not_take_is_repeated(client: Client, task_queue: str, post: Post) -> None:
    post.waits = [ApplicationError("The database is away", type="unavailable"), None]
    await client.execute_workflow(DELIVER_WORKFLOW, DeliverInput("dlv_1"), id=new_id("dlv"), task_queue=task_queue)
    assert len(post.attempts) == 2


@pytest.mark.parametrize("look", [True, False])
async def test_sweep_does_what_it_is_asked_for(client: Client, task_queue: str, post: Post, look: bool) -> None:
    report = await client.execute_workflow(
        WATCH_WORKFLOW, WatchInput(look), id=new_id("watch"), task_queue=task_queue, result_type=WatchReport
    )
    assert (report.told, post.sweeps) == (3, [look])
