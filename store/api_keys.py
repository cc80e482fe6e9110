"""Every query about the API's keys, of which only hashes are known."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import affected
from store.paging import Page, paged
from store.tables import ApiKeyRow


class ApiKeys:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: ApiKeyRow) -> None:
        self.session.add(row)

    async def by_hash(self, hashed: str) -> ApiKeyRow | None:
        return await self.session.scalar(select(ApiKeyRow).where(ApiKeyRow.hash == hashed))

    async def list(self, page: Page) -> Sequence[ApiKeyRow]:
        return (await self.session.scalars(paged(select(ApiKeyRow), ApiKeyRow.id, page))).all()

    async def delete(self, key_id: str) -> bool:
        return bool(affected(await self.session.execute(delete(ApiKeyRow).where(ApiKeyRow.id == key_id))))

    async def touch(self, key_id: str, at: datetime) -> None:
        await self.session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(last_used_at=at))
