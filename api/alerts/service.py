"""Finding alerts."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.alerts import AlertFilter, Alerts
from store.paging import Page
from store.tables import AlertRow


async def find(session: AsyncSession, wanted: AlertFilter, page: Page) -> Sequence[AlertRow]:
    return await Alerts(session).list(wanted, page)


async def get(session: AsyncSession, alert_id: str) -> AlertRow:
    row = await Alerts(session).get(alert_id)
    if row is None:
        raise NotFound("There is no such alert.")
    return row
