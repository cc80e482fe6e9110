"""Searching log lines."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from store.logs import LogFilter, Logs
from store.paging import Page
from store.tables import LogRow


async def find(session: AsyncSession, wanted: LogFilter, page: Page) -> Sequence[LogRow]:
    return await Logs(session).list(wanted, page)
