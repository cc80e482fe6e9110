"""One real Temporal server for the room, headless and in memory."""

import asyncio
from collections.abc import Iterator

import pytest

from runtime.devserver import DevServer
from runtime.settings import Settings


@pytest.fixture(scope="session")
def temporal_server() -> Iterator[DevServer]:
    server = DevServer()
    asyncio.run(server.start())
    yield server
    server.kill()


@pytest.fixture
def temporal_settings(temporal_server: DevServer) -> Settings:
    return Settings(database_url="sqlite+aiosqlite://", temporal_address=temporal_server.address)
