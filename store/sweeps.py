"""Every query about sweeps: where each goes on, and what its last run has found."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import upsert
from store.tables import SweepRow


class Sweeps:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, name: str) -> SweepRow | None:
        return await self.session.get(SweepRow, name)

    async def note(self, name: str, position: str, ran_at: datetime, report: dict[str, Any]) -> None:
        values = {"name": name, "position": position, "ran_at": ran_at, "report": report}
        await upsert(self.session, SweepRow, values, ["name"])
