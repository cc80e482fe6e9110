"""The stage of the execution workflow, with a task queue and a worker for each test."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from runtime.ids import new_id
from tests.fixtures.temporal import encrypting_client
from tests.workflows.stage import Fakes, Stage, working


@pytest.fixture
async def client(temporal_address: str) -> Client:
    return await encrypting_client(temporal_address)


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
async def stage(client: Client, fakes: Fakes) -> AsyncIterator[Stage]:
    task_queue = new_id("queue")
    async with working(client, task_queue, fakes.all()):
        yield Stage(client, task_queue, fakes)
