"""Large payloads of Temporal's, kept for its data converter."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import affected, insert_ignore
from store.engine import Database
from store.tables import BlobRow


class BlobMissing(KeyError):
    """The history refers to a blob that is not there: removed with its execution, or another database."""

    def __init__(self, blob_id: str) -> None:
        super().__init__(blob_id)
        self.blob_id = blob_id

    def __str__(self) -> str:
        return f"The blob {self.blob_id} is not in this database."


class DatabaseBlobs:
    """A blob store in transactions of its own, because the converter works outside of any."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def put(self, blob_id: str, workflow_id: str, data: bytes) -> None:
        """Repeating it is harmless: an id stands for its content."""
        values = {"id": blob_id, "workflow_id": workflow_id, "data": data, "created_at": datetime.now(UTC)}
        async with self.database.transaction() as session:
            await insert_ignore(session, BlobRow, values, ["id"])

    async def get(self, blob_id: str) -> bytes:
        async with self.database.snapshot() as session:
            data = await session.scalar(select(BlobRow.data).where(BlobRow.id == blob_id))
        if data is None:
            raise BlobMissing(blob_id)
        return data


async def delete_of_workflows(session: AsyncSession, workflow_ids: Sequence[str]) -> int:
    return affected(await session.execute(delete(BlobRow).where(BlobRow.workflow_id.in_(workflow_ids))))
