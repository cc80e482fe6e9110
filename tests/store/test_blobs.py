import asyncio

import pytest

from store.blobs import BlobMissing, DatabaseBlobs, delete_of_workflows
from store.engine import Database


async def test_blob_put_twice_is_the_first(database: Database) -> None:
    blobs = DatabaseBlobs(database)
    await blobs.put("a", "exec_1", b"\x00data")
    await blobs.put("a", "exec_1", b"\x00data again")
    assert await blobs.get("a") == b"\x00data"


async def test_blob_put_by_many_at_once(database: Database) -> None:
    blobs = DatabaseBlobs(database)
    await asyncio.gather(*(blobs.put("a", "exec_1", b"data") for _ in range(10)))
    assert await blobs.get("a") == b"data"


async def test_missing_blob_names_itself(database: Database) -> None:
    with pytest.raises(BlobMissing, match="The blob absent is not in this database"):
        await DatabaseBlobs(database).get("absent")


async def test_blobs_removed_with_their_workflows(database: Database) -> None:
    blobs = DatabaseBlobs(database)
    for number in (1, 2, 3):
        await blobs.put(f"blob {number}", f"exec_{number}", b"data")
    async with database.transaction() as session:
        assert await delete_of_workflows(session, ["exec_1", "exec_2"]) == 2
        assert await delete_of_workflows(session, []) == 0
    assert await blobs.get("blob 3") == b"data"
    with pytest.raises(KeyError):
        await blobs.get("blob 1")
