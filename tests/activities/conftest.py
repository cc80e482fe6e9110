"""The kit: every activity on the database of the test, on SQLite and on PostgreSQL."""

import pytest

from runtime.ids import new_id
from store.blobs import DatabaseBlobs
from store.engine import Database
from tests.activities.kit import Kit
from tests.fixtures.temporal import encrypting_client


@pytest.fixture
def kit(database: Database) -> Kit:
    return Kit(database)


@pytest.fixture
async def temporal_kit(database: Database, temporal_address: str) -> Kit:
    """With a client whose large payloads lie in the same database, and a task queue that nobody works on."""
    client = await encrypting_client(temporal_address, DatabaseBlobs(database))
    return Kit(database, client=client, task_queue=new_id("queue"))
