"""The codec on a real server: nothing of ours is readable in history, and workflow code never notices."""

from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from runtime.codec import INLINE_LIMIT, data_converter
from runtime.crypto import Keyring
from runtime.ids import new_id
from runtime.settings import Settings
from runtime.temporal import connect
from tests.runtime.blobs import MemoryBlobs

LIMIT = timedelta(seconds=10)


@activity.defn
async def double(text: str) -> str:
    return text * 2


@workflow.defn
class Grow:
    @workflow.run
    async def run(self, text: str) -> str:
        inner = await workflow.execute_child_workflow(Half.run, text, id=f"{workflow.info().workflow_id}-child")
        workflow.upsert_memo({"seen": "hush memo"})
        grown = await workflow.execute_activity(double, inner, start_to_close_timeout=LIMIT, summary="hush summary")
        return await workflow.execute_local_activity(double, grown, start_to_close_timeout=LIMIT)


@workflow.defn
class Half:
    @workflow.run
    async def run(self, text: str) -> str:
        return text[: len(text) // 2]


@workflow.defn
class Fail:
    @workflow.run
    async def run(self) -> None:
        raise ApplicationError("hush message", "hush detail", non_retryable=True)


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
async def client(temporal_settings: Settings, blobs: MemoryBlobs) -> Client:
    return await connect(temporal_settings, data_converter(Keyring([("k1", b"k" * 32)]), "default", blobs))


def working(client: Client, queue: str) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=[Grow, Half, Fail],
        activities=[double],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def history(handle: WorkflowHandle[Fail, None] | WorkflowHandle[Grow, str]) -> str:
    return (await handle.fetch_history()).to_json()


async def test_large_values_travel_as_references(client: Client, blobs: MemoryBlobs) -> None:
    execution, text = new_id("exec"), "hush " * INLINE_LIMIT
    async with working(client, execution):
        handle = await client.start_workflow(Grow.run, text, id=execution, task_queue=execution, memo={"at": text})
        assert await handle.result() == text * 2
    assert set(blobs.owners.values()) == {execution, f"{execution}-child"}
    assert len(await history(handle)) < INLINE_LIMIT
    assert await (await handle.describe()).memo() == {"at": text, "seen": "hush memo"}


async def test_history_of_small_values_is_unreadable(client: Client, blobs: MemoryBlobs) -> None:
    execution = new_id("exec")
    async with working(client, execution):
        handle = await client.start_workflow(
            Grow.run, "hush-hush-hush-", id=execution, task_queue=execution, static_summary="hush summary"
        )
        assert await handle.result() == "hush-hu" * 4
    assert not blobs.stored
    written = await history(handle)
    assert not any(text in written for text in ("hush-hu", "hush summary", "hush memo"))
    assert await (await handle.describe()).static_summary() == "hush summary"


async def test_failure_is_encrypted_with_its_message(client: Client) -> None:
    execution = new_id("exec")
    async with working(client, execution):
        handle = await client.start_workflow(Fail.run, id=execution, task_queue=execution)
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert str(failure.value.cause) == "hush message"
    written = await history(handle)
    assert not any(text in written for text in ("hush message", "hush detail", "raise ApplicationError"))
