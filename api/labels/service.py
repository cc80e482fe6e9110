"""Finding labels that are in use."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from store.labels import Labels, LabelUse
from store.paging import Page


async def find(session: AsyncSession, resource: str, beginning: str, page: Page) -> Sequence[LabelUse]:
    return await Labels(session).list(resource, beginning, page)
