"""Every query about the answers kept for repeated requests."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import affected
from store.tables import IdempotencyRow


class IdempotencyRecords:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def find(self, principal: str, method: str, path: str, key: str) -> IdempotencyRow | None:
        return await self.session.get(IdempotencyRow, (principal, method, path, key))

    async def add(self, row: IdempotencyRow) -> None:
        """Raises IntegrityError when another request holds the key. On PostgreSQL it waits for that one's end."""
        self.session.add(row)
        await self.session.flush()

    async def finish(self, principal: str, method: str, path: str, key: str, *, status: int, answer: bytes) -> None:
        statement = update(IdempotencyRow).where(_is(principal, method, path, key))
        await self.session.execute(statement.values(status=status, answer=answer))

    async def delete(self, principal: str, method: str, path: str, key: str) -> None:
        """For answers that are not kept: the next request with the key is a first one."""
        await self.session.execute(delete(IdempotencyRow).where(_is(principal, method, path, key)))

    async def purge(self, before: datetime) -> int:
        return affected(await self.session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < before)))


def _is(principal: str, method: str, path: str, key: str) -> ColumnElement[bool]:
    return and_(
        IdempotencyRow.principal == principal,
        IdempotencyRow.method == method,
        IdempotencyRow.path == path,
        IdempotencyRow.key == key,
    )
