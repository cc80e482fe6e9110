"""Searching the audit trail."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from store.events import EventFilter, Events
from store.paging import Page
from store.tables import EventRow


async def find(session: AsyncSession, wanted: EventFilter, page: Page) -> Sequence[EventRow]:
    return await Events(session).list(wanted, page)
