"""One stack for all end-to-end tests of a process. Every test finds it whole, whatever the one before did to it.

The target answers in the loop of the session, so the tests run in that loop too.
"""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from tests.e2e.client import Client
from tests.e2e.target import Spot, Target, running_target
from tests.fixtures.stack import ADMIN_KEY, Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_stack(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> AsyncIterator[Stack]:
    directory = tmp_path_factory.mktemp("stack")
    shutil.copyfile(sqlite_template, directory / "flowgraft.db")
    stack = Stack(directory, f"sqlite+aiosqlite:///{directory / 'flowgraft.db'}")
    try:
        await stack.heal()
        yield stack
    finally:
        await stack.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def target() -> AsyncIterator[Target]:
    async with running_target() as target:
        yield target


@pytest_asyncio.fixture(loop_scope="session")
async def stack(shared_stack: Stack) -> Stack:
    await shared_stack.heal()
    return shared_stack


@pytest_asyncio.fixture(loop_scope="session")
async def client(stack: Stack) -> AsyncIterator[Client]:
    async with connected(stack) as http:
        yield Client(http)


@pytest_asyncio.fixture(loop_scope="session")
async def spot(target: Target) -> AsyncIterator[Spot]:
    spot = target.spot()
    yield spot
    spot.release()


def connected(stack: Stack, key: str | None = ADMIN_KEY) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = httpx2.Limits(max_connections=None)
    return httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=40, trust_env=False, limits=limits)
