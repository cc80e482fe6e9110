"""What a replay means for what was replayed first: that it is resolved."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from store.tables import ExecutionRow


class Lineage:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def note_success(self, root_id: str, replay_id: str, at: datetime) -> None:
        """Of a replay; the first one counts. Whether the root has failed is not asked: it may do so only later."""
        unresolved = (ExecutionRow.id == root_id) & ExecutionRow.resolved_at.is_(None)
        changed = update(ExecutionRow).where(unresolved).values(resolved_at=at, resolved_by=replay_id)
        await self.session.execute(changed.execution_options(synchronize_session=False))
