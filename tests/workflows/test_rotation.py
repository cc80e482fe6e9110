"""A rotation of keys: its stages in order, with patience before old data keys go."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from time import perf_counter

import pytest
from temporalio import activity
from temporalio.client import Client

from domain.messages import ROTATE_WORKFLOW, JobEnd, RotateBatch, RotateInput
from domain.rotation import REPLACED
from runtime.ids import new_id
from tests.workflows.stage import working
from workflows.policies import READERS_GRACE

ASKED = RotateInput("job_1", "k2")


@dataclass
class Rotated:
    """Activities under the real names. A stage is over at once, unless it has batches."""

    stages: list[str] = field(default_factory=list)
    batches: dict[str, list[RotateBatch]] = field(default_factory=dict)
    plans: int = 0
    calls: list[tuple[str, str]] = field(default_factory=list)
    ends: list[JobEnd] = field(default_factory=list)

    @activity.defn
    async def plan_rotation(self, message: RotateInput) -> list[str]:
        self.plans += 1
        return self.stages

    @activity.defn
    async def rotate_batch(self, message: RotateInput) -> RotateBatch:
        stage = message.stages[message.at]
        self.calls.append((stage, message.cursor))
        batches = self.batches.get(stage)
        return batches.pop(0) if batches else RotateBatch("")

    @activity.defn
    async def end_job(self, end: JobEnd) -> None:
        self.ends.append(end)


@pytest.fixture
def rotated() -> Rotated:
    return Rotated()


@pytest.fixture
async def task_queue(client: Client, rotated: Rotated) -> AsyncIterator[str]:
    name = new_id("queue")
    async with working(client, name, [rotated.plan_rotation, rotated.rotate_batch, rotated.end_job]):
        yield name


async def rotate(client: Client, task_queue: str, message: RotateInput = ASKED) -> None:
    await client.execute_workflow(ROTATE_WORKFLOW, message, id=new_id("job"), task_queue=task_queue)


async def test_stages_follow_each_other_batch_by_batch(client: Client, task_queue: str, rotated: Rotated) -> None:
    rotated.stages = ["data_keys", "state.value", "schedules"]
    rotated.batches = {"state.value": [RotateBatch("x", done=2), RotateBatch("y", done=2), RotateBatch("", done=1)]}
    await rotate(client, task_queue)
    assert rotated.calls == [
        ("data_keys", ""),
        ("state.value", ""),
        ("state.value", "x"),
        ("state.value", "y"),
        ("schedules", ""),
    ]
    [end] = rotated.ends
    assert (end.job_id, end.state, (end.result or {})["rewritten"]) == ("job_1", "succeeded", 5)


async def test_readers_get_time_before_old_data_keys_go(client: Client, task_queue: str, rotated: Rotated) -> None:
    rotated.stages = ["state.value", REPLACED]
    rotated.batches = {REPLACED: [RotateBatch("dk_7"), RotateBatch("")]}
    began = perf_counter()
    await rotate(client, task_queue)
    assert READERS_GRACE.total_seconds() <= perf_counter() - began < 2 * READERS_GRACE.total_seconds()
    assert rotated.calls == [("state.value", ""), (REPLACED, ""), (REPLACED, "dk_7")]


async def test_rotation_that_was_continued_goes_on_where_it_was(
    client: Client, task_queue: str, rotated: Rotated
) -> None:
    halfway = RotateInput("job_1", "k2", stages=["a", "b"], at=1, cursor="x", done=40, failed=1)
    await rotate(client, task_queue, halfway)
    assert (rotated.plans, rotated.calls) == (0, [("b", "x")])
    assert (rotated.ends[0].state, (rotated.ends[0].result or {})["rewritten"]) == ("failed", 40)
