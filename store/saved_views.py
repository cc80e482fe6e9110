"""Every query about saved views."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.paging import Page, paged
from store.tables import SavedViewRow


class SavedViews:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: SavedViewRow) -> None:
        self.session.add(row)

    async def get(self, view_id: str, *, for_update: bool = False) -> SavedViewRow | None:
        return await self.session.get(SavedViewRow, view_id, with_for_update=for_update)

    async def by_name(self, name: str) -> SavedViewRow | None:
        return await self.session.scalar(select(SavedViewRow).where(SavedViewRow.name == name))

    async def list(self, resources: Sequence[str], names: Sequence[str], page: Page) -> Sequence[SavedViewRow]:
        query = select(SavedViewRow)
        if resources:
            query = query.where(SavedViewRow.resource.in_(resources))
        if names:
            query = query.where(SavedViewRow.name.in_(names))
        return (await self.session.scalars(paged(query, SavedViewRow.id, page))).all()

    async def delete(self, row: SavedViewRow) -> None:
        await self.session.delete(row)
