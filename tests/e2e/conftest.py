"""One stack for all end-to-end tests of a process. Every test finds it whole, whatever the one before did to it.

The target answers in the loop of the session, so the tests run in that loop too. `make cluster-test` runs them on a
cluster instead.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from deploy.cluster.cluster import thrown_away
from tests.e2e.client import Client
from tests.e2e.target import Spot, Target, running_target
from tests.fixtures.stack import ADMIN_KEY, ClusterStack, Stack

ON_CLUSTER = os.environ.get("FLOWGRAFT_E2E") == "cluster"
TEMPORAL_BINARIES = Path(os.environ.get("TEMPORAL_BIN", "")).absolute()
FAULT_SECONDS = float(os.environ.get("FAULT_SECONDS", "40"))  # from one fault to the next
FAULT_RATE = float(os.environ.get("FAULT_RATE", "10"))  # deliveries per second

FIGURES = pytest.StashKey[list[str]]()

# These bring a stack of their own.
collect_ignore = ["test_dev.py", "test_postgres.py", "test_rotation.py"] if ON_CLUSTER else ["test_cluster.py"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_stack(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> AsyncIterator[Stack]:
    if ON_CLUSTER:
        async with _running_cluster() as cluster:
            yield cluster
        return
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
    """After each test, whatever it has killed, the books must balance: nothing accepted is lost, or counted twice."""
    async with connected(stack) as http:
        yield Client(http)
    await stack.heal()
    async with connected(stack) as http:
        await ensure_balanced(Client(http))


@pytest_asyncio.fixture(loop_scope="session")
async def spot(target: Target) -> AsyncIterator[Spot]:
    spot = target.spot()
    yield spot
    spot.release()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> list[str]:
    """Lines to be shown when all tests have ended."""
    return request.config.stash.setdefault(FIGURES, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)


async def ensure_balanced(client: Client, timeout: float = 20.0) -> None:
    deadline = asyncio.get_running_loop().time() + timeout
    while unbalanced := [each for each in await client.all_of("/v1/conservation") if each["imbalance"]]:
        assert asyncio.get_running_loop().time() < deadline, unbalanced
        await asyncio.sleep(0.2)


def connected(stack: Stack, key: str | None = ADMIN_KEY) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    limits = httpx2.Limits(max_connections=None)
    return httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=40, trust_env=False, limits=limits)


@asynccontextmanager
async def _running_cluster() -> AsyncIterator[ClusterStack]:
    with thrown_away() as directory:
        stack = ClusterStack(directory, TEMPORAL_BINARIES)
        try:
            await stack.cluster.start()
            yield stack
        finally:
            await stack.stop()
