"""Every query about executions that wait for a connection: they go on, in their order, once it works again."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.tables import ConnectionRow, ExecutionRow

# Word for word as in the index: SQLite uses a partial one only where the query says its very condition.
WAITS: ColumnElement[bool] = literal_column("executions.waiting_connection_id IS NOT NULL")


class Waiter(NamedTuple):
    execution_id: str
    workflow_id: str | None


class WaitingExecutions:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def counts(self, connection_ids: Sequence[str]) -> dict[str, int]:
        """By connection; one that nobody waits for is left out."""
        column = ExecutionRow.waiting_connection_id
        query = select(column, func.count()).where(WAITS, column.in_(connection_ids)).group_by(column)
        return {str(connection_id): count for connection_id, count in await self.session.execute(query)}

    async def ready(self, status: str, limit: int) -> Sequence[Waiter]:
        """Whose connection has this status, or is gone; those accepted first come first."""
        query = (
            select(ExecutionRow.id, ExecutionRow.workflow_id)
            .outerjoin(ConnectionRow, ConnectionRow.id == ExecutionRow.waiting_connection_id)
            .where(WAITS, or_(ConnectionRow.id.is_(None), ConnectionRow.status == status))
            .order_by(ExecutionRow.id)
            .limit(limit)
        )
        return [Waiter._make(row) for row in await self.session.execute(query)]

    async def told(self, execution_ids: Sequence[str]) -> None:
        """That it works again: what is still waiting says so once more."""
        told = update(ExecutionRow).where(ExecutionRow.id.in_(execution_ids)).values(waiting_connection_id=None)
        await self.session.execute(told.execution_options(synchronize_session=False))

    async def wait(self, execution_id: str, connection_id: str | None, reason: str | None, now: datetime) -> None:
        """It waits for this connection from now on; for none, it goes on."""
        changed = update(ExecutionRow).where(ExecutionRow.id == execution_id, ExecutionRow.ended_at.is_(None))
        values = {"waiting_connection_id": connection_id, "reason": reason, "updated_at": now}
        await self.session.execute(changed.values(**values).execution_options(synchronize_session=False))
