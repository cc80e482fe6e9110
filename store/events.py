"""Every query about events: who did what to an instance, and when."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.paging import Page, paged
from store.tables import EventRow


class Events:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: EventRow) -> None:
        self.session.add(row)

    async def list(self, instance_id: str, page: Page) -> Sequence[EventRow]:
        query = select(EventRow).where(EventRow.instance_id == instance_id)
        return (await self.session.scalars(paged(query, EventRow.id, page))).all()
