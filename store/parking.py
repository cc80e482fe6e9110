"""Every query about parked executions: failed for good, they keep their place in their flow's queue for a while."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.queues import BEHIND_PARKED, QUEUED_BEHIND
from store.queues import waiting
from store.tables import ExecutionRow


class ParkedCounts(NamedTuple):
    parked: int
    first_until: datetime | None


class Parking:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def park(self, execution_id: str, until: datetime) -> None:
        await self._change(ExecutionRow.id == execution_id, {"parked_until": until})

    async def of_flow(self, flow_id: str) -> Sequence[ExecutionRow]:
        query = select(ExecutionRow).where(ExecutionRow.instance_flow_id == flow_id, _parked())
        return (await self.session.scalars(query.order_by(ExecutionRow.id))).all()

    async def free(self, flow_id: str, execution_ids: Sequence[str], now: datetime) -> None:
        """They keep their place no longer."""
        freed = {"parked_until": None, "updated_at": now}
        await self._change(_in_flow(flow_id) & ExecutionRow.id.in_(execution_ids), freed)

    async def note_success(self, flow_id: str, root_id: str, now: datetime) -> None:
        """Of a replay: nothing of its lineage is parked any more."""
        lineage = or_(ExecutionRow.id == root_id, ExecutionRow.root_id == root_id)
        await self._change(_in_flow(flow_id) & lineage, {"parked_until": None, "updated_at": now})

    async def tell_why(self, flow_id: str, keys: Sequence[str]) -> None:
        """What waits says whether it waits behind a parked one; `keys` are those of the parked ones."""
        for reason, other, which in (
            (BEHIND_PARKED, QUEUED_BEHIND, ExecutionRow.queue_key.in_(keys)),
            (QUEUED_BEHIND, BEHIND_PARKED, ExecutionRow.queue_key.not_in(keys)),
        ):
            here = and_(ExecutionRow.instance_flow_id == flow_id, *waiting(), ExecutionRow.reason == other, which)
            await self._change(here, {"reason": reason})

    async def counts(self, flow_ids: Sequence[str]) -> dict[str, ParkedCounts]:
        """By flow; one where nothing is parked is left out."""
        query = select(ExecutionRow.instance_flow_id, func.count(), func.min(ExecutionRow.parked_until))
        query = query.where(ExecutionRow.instance_flow_id.in_(flow_ids), _parked())
        rows = await self.session.execute(query.group_by(ExecutionRow.instance_flow_id))
        return {row[0]: ParkedCounts(row[1], row[2]) for row in rows}

    async def _change(self, which: ColumnElement[bool], values: dict[str, Any]) -> None:
        changed = update(ExecutionRow).where(which).values(**values)
        await self.session.execute(changed.execution_options(synchronize_session=False))


def _parked() -> ColumnElement[bool]:
    return ExecutionRow.parked_until.is_not(None)


def _in_flow(flow_id: str) -> ColumnElement[bool]:
    return (ExecutionRow.instance_flow_id == flow_id) & _parked()
