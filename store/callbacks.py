"""Every query about callbacks: each is taken once, and none when its time is up."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain.callbacks import Place
from store.dialect import insert_ignore
from store.tables import CallbackRow

KEY = ["execution_id", "attempt", "path"]


class CallbacksTaken:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, place: Place) -> CallbackRow | None:
        return await self.session.get(CallbackRow, tuple(place), populate_existing=True)

    async def take(self, place: Place, sealed: bytes | None, now: datetime) -> bool:
        """False: somebody was first, or its time was up. Nothing sealed: from now on it is."""
        values = place._asdict() | {"sealed": sealed, "created_at": now}
        return bool(await insert_ignore(self.session, CallbackRow, values, KEY))
