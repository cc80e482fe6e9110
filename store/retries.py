"""Pending retries that a newer delivery about the same thing makes needless."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import Status
from store.tables import ExecutionRow

SUPERSEDED = "superseded"


class Retries:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def supersede(self, instance_flow_id: str, unique_key: str, by: str, at: datetime) -> Sequence[ExecutionRow]:
        """Cancels what waits for its next attempt, be it in its flow's queue, and is older than `by`. Upkeep sees to
        their workflows."""
        in_queue = (ExecutionRow.status == Status.QUEUED) & (ExecutionRow.attempt > 0)
        older = (
            (ExecutionRow.instance_flow_id == instance_flow_id)
            & (ExecutionRow.unique_key == unique_key)
            & (ExecutionRow.id < by)
            & ((ExecutionRow.status == Status.RETRYING) | in_queue)
        )
        changed = update(ExecutionRow).where(older).values(superseded_values(by, at)).returning(ExecutionRow)
        return (await self.session.scalars(changed)).all()

    async def newer(self, instance_flow_id: str, unique_key: str, than: str) -> str | None:
        """The id of the latest delivery about the same thing, if it is newer."""
        query = select(ExecutionRow.id).where(
            ExecutionRow.instance_flow_id == instance_flow_id,
            ExecutionRow.unique_key == unique_key,
            ExecutionRow.id > than,
        )
        return await self.session.scalar(query.order_by(ExecutionRow.id.desc()).limit(1))

    async def superseded_by(self, execution_id: str) -> Sequence[str]:
        """Ids of the executions whose pending retry it has canceled."""
        query = select(ExecutionRow.id).where(ExecutionRow.superseded_by == execution_id)
        return (await self.session.scalars(query.order_by(ExecutionRow.id))).all()


def superseded_values(by: str, at: datetime) -> dict[str, Any]:
    """It has ended in the ledger; `check_after` is for upkeep, that its workflow ends, too."""
    return {
        "status": Status.CANCELED,
        "reason": SUPERSEDED,
        "superseded_by": by,
        "next_attempt_at": None,
        "ended_at": at,
        "check_after": at,
        "updated_at": at,
    }
