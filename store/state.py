"""State of flows and instances. Whoever reads a key here holds it until the transaction ends."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import insert_ignore
from store.tables import StateRow


class State:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def hold(self, scope: str, owner_id: str, key: str, instance_id: str, now: datetime) -> StateRow:
        """The key's row, locked; made without a value where it is new, so that two writers meet at the lock."""
        values = {
            "scope": scope,
            "owner_id": owner_id,
            "key": key,
            "instance_id": instance_id,
            "value": None,
            "updated_at": now,
        }
        await insert_ignore(self.session, StateRow, values, ["scope", "owner_id", "key"])
        row = await self.session.scalar(
            select(StateRow)
            .where(StateRow.scope == scope, StateRow.owner_id == owner_id, StateRow.key == key)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise LookupError(f"state {scope}/{key} vanished while it was held")
        return row
