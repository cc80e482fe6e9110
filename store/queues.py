"""Every query about the queues of flows: what waits in its order, what runs, and the claim of a slot."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import Status
from domain.queues import MOST_RUNNING, QUEUE_FULL, QueueRule, Waiting
from store.paging import Page
from store.tables import CustomerRow, ExecutionRow, InstanceFlowRow, InstanceRow

TOLD_AT_ONCE = 20  # queues of a customer; upkeep tells the others
STARTED_WITHIN = timedelta(seconds=5)  # else upkeep looks whether a claimed one has begun


class QueueCounts(NamedTuple):
    waiting: int
    oldest_waiting_at: datetime | None


class QueueOf(NamedTuple):
    """A flow's queue, as far as its workflow is told of it."""

    instance_flow_id: str
    instance_id: str
    customer_id: str


class Queues:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def locked(self, flow_id: str) -> tuple[InstanceFlowRow, InstanceRow] | None:
        """Whoever gives slots away, or counts what waits, holds the flow meanwhile."""
        flow = await self.session.get(InstanceFlowRow, flow_id, with_for_update=True, populate_existing=True)
        instance = await self.session.get(InstanceRow, flow.instance_id) if flow else None
        return None if flow is None or instance is None else (flow, instance)

    async def free_of_customer(self, customer_id: str) -> int:
        """How many more of its executions may begin. Whoever claims some holds the customer meanwhile, if it has a
        limit. What waits for its retry takes none of them, and what its caller waits for runs in the caller's."""
        most = await self._max_running(customer_id)
        if most is None:
            return MOST_RUNNING
        await self.session.execute(
            select(CustomerRow.id).where(CustomerRow.id == customer_id).with_for_update(key_share=True)
        )
        return max(most - await self.running_of_customer(customer_id), 0)

    async def running_of_customer(self, customer_id: str) -> int:
        query = select(func.count()).where(ExecutionRow.customer_id == customer_id, *_in_slots())
        query = query.where(ExecutionRow.status != Status.RETRYING, ~ExecutionRow.is_awaited)
        return await self.session.scalar(query) or 0

    async def running_keys(self, customer_id: str, flow_id: str, *, hold: bool) -> list[str]:
        """The keys of those that hold a slot of the flow, one entry for each."""
        query = select(ExecutionRow.queue_key).where(
            ExecutionRow.customer_id == customer_id, ExecutionRow.instance_flow_id == flow_id, *_in_slots()
        )
        if not hold:
            query = query.where(ExecutionRow.status != Status.RETRYING)
        return [key or "" for key in await self.session.scalars(query)]

    async def next(
        self,
        flow_id: str,
        rule: QueueRule,
        busy: Sequence[str],
        limit: int,
        *,
        awaited: bool = False,
        closed: Sequence[str] = (),
        except_roots: Sequence[str] = (),
    ) -> list[Waiting]:
        """The first ones; where order is kept per key, the first of each key that nobody is busy with. `awaited`: of
        those only that their callers wait for. `closed` keys: nothing but replays of `except_roots`."""
        if awaited and rule.limit is None:
            return []  # such ones do not wait here
        query = select(ExecutionRow.id, ExecutionRow.queue_key)
        if rule.per_key:
            query = select(func.min(ExecutionRow.id).label("id"), ExecutionRow.queue_key)
            query = query.where(ExecutionRow.queue_key.not_in(busy)).group_by(ExecutionRow.queue_key)
        query = query.where(ExecutionRow.instance_flow_id == flow_id, *waiting())
        if awaited:
            query = query.where(ExecutionRow.is_awaited)
        if closed:
            query = query.where(or_(ExecutionRow.queue_key.not_in(closed), ExecutionRow.root_id.in_(except_roots)))
        rows = await self.session.execute(query.order_by(literal_column("1")).limit(limit))
        return [Waiting(row[0], row[1] or "") for row in rows]

    async def claim(self, execution_ids: Sequence[str], now: datetime) -> list[ExecutionRow]:
        """Those that have a slot from now on, in order."""
        statement = update(ExecutionRow).where(ExecutionRow.id.in_(execution_ids), *waiting())
        values = {"handed_over_at": now, "check_after": now + STARTED_WITHIN, "reason": None, "updated_at": now}
        rows = await self._returning(statement.values(**values))
        return sorted(rows, key=lambda row: row.id)

    async def that_may_go_on(self, of: QueueOf) -> list[QueueOf]:
        """Once one of this queue has given its slot back: it, and all queues of a customer that has a limit, the one
        first that waits longest."""
        if await self._max_running(of.customer_id) is None:
            return [of] if await self.any_waiting(of.instance_flow_id) else []
        first = select(func.min(ExecutionRow.id)).where(ExecutionRow.instance_flow_id == InstanceFlowRow.id, *waiting())
        oldest = first.scalar_subquery()
        query = _queues().where(InstanceRow.customer_id == of.customer_id, oldest.is_not(None))
        rows = await self.session.execute(query.order_by(oldest).limit(TOLD_AT_ONCE))
        return [QueueOf(*row) for row in rows]

    async def any_waiting(self, flow_id: str) -> bool:
        query = select(ExecutionRow.id).where(ExecutionRow.instance_flow_id == flow_id, *waiting())
        return await self.session.scalar(query.limit(1)) is not None

    async def counts(self, flow_ids: Sequence[str]) -> dict[str, QueueCounts]:
        """By flow; one where nothing waits is left out."""
        query = select(ExecutionRow.instance_flow_id, func.count(), func.min(ExecutionRow.queued_at))
        query = query.where(ExecutionRow.instance_flow_id.in_(flow_ids), *waiting())
        rows = await self.session.execute(query.group_by(ExecutionRow.instance_flow_id))
        return {row[0]: QueueCounts(row[1], row[2]) for row in rows}

    async def counts_of_customer(self, customer_id: str) -> QueueCounts:
        flows = select(InstanceFlowRow.id).join(InstanceRow, InstanceRow.id == InstanceFlowRow.instance_id)
        flows = flows.where(InstanceRow.customer_id == customer_id)
        query = select(func.count(), func.min(ExecutionRow.queued_at))
        found = await self.session.execute(query.where(ExecutionRow.instance_flow_id.in_(flows), *waiting()))
        return QueueCounts(*found.one())

    async def in_order(self, flow_id: str, page: Page) -> Sequence[ExecutionRow]:
        """What waits, in its order."""
        query = select(ExecutionRow).where(ExecutionRow.instance_flow_id == flow_id, *waiting())
        if page.after:
            query = query.where(ExecutionRow.id > page.after)
        return (await self.session.scalars(query.order_by(ExecutionRow.id).limit(page.limit + 1))).all()

    async def drop_oldest(self, flow_id: str, number: int, now: datetime) -> Sequence[ExecutionRow]:
        """Those that have never begun and must make room."""
        oldest = select(ExecutionRow.id).where(ExecutionRow.instance_flow_id == flow_id, *waiting())
        oldest = oldest.where(ExecutionRow.attempt == 0).order_by(ExecutionRow.id).limit(number)
        ended = {"status": Status.SKIPPED, "reason": QUEUE_FULL, "ended_at": now, "updated_at": now}
        return await self._returning(update(ExecutionRow).where(ExecutionRow.id.in_(oldest)).values(**ended))

    async def cancel_waiting(self, flow_id: str, limit: int, now: datetime) -> Sequence[ExecutionRow]:
        """Some of what waits, oldest first. Upkeep ends the workflow of one that waits for its next attempt."""
        first = select(ExecutionRow.id).where(ExecutionRow.instance_flow_id == flow_id, *waiting())
        first = first.order_by(ExecutionRow.id).limit(limit)
        ended = {"status": Status.CANCELED, "reason": "canceled", "ended_at": now, "updated_at": now}
        rows = await self._returning(update(ExecutionRow).where(ExecutionRow.id.in_(first)).values(**ended))
        begun = [row.id for row in rows if row.run_id]
        if begun:
            await self.session.execute(update(ExecutionRow).where(ExecutionRow.id.in_(begun)).values(check_after=now))
        return rows

    async def with_waiting(self, after: str, limit: int) -> list[QueueOf]:
        """Queues that have something to do, by the flow's id: nobody has paused them or their instance."""
        some = select(ExecutionRow.id).where(ExecutionRow.instance_flow_id == InstanceFlowRow.id, *waiting())
        query = _queues().where(some.exists(), InstanceFlowRow.id > after)
        rows = await self.session.execute(query.order_by(InstanceFlowRow.id).limit(limit))
        return [QueueOf(*row) for row in rows]

    async def _max_running(self, customer_id: str) -> int | None:
        return await self.session.scalar(select(CustomerRow.max_running).where(CustomerRow.id == customer_id))

    async def _returning(self, statement: Any) -> Sequence[ExecutionRow]:
        options = {"synchronize_session": False, "populate_existing": True}
        found = statement.returning(ExecutionRow).execution_options(**options)
        return (await self.session.scalars(found)).all()


def _queues() -> Select[str, str, str]:
    """Those that nobody has paused, nor their instance."""
    query = select(InstanceFlowRow.id, InstanceRow.id, InstanceRow.customer_id)
    query = query.join(InstanceRow, InstanceRow.id == InstanceFlowRow.instance_id)
    return query.where(
        ~InstanceFlowRow.queue_paused, InstanceRow.enabled, ~InstanceRow.deleting, InstanceRow.suspended_at.is_(None)
    )


def _in_slots() -> tuple[ColumnElement[bool], ...]:
    return (
        ExecutionRow.queue_key.is_not(None),
        ExecutionRow.handed_over_at.is_not(None),
        ExecutionRow.ended_at.is_(None),
    )


def waiting() -> tuple[ColumnElement[bool], ...]:
    """Word for word as the partial index has it: a bound value would hide it from SQLite's planner."""
    return (
        ExecutionRow.queue_key.is_not(None),
        ExecutionRow.handed_over_at.is_(None),
        ExecutionRow.held.is_(None),
        ExecutionRow.status == literal_column(f"'{Status.QUEUED}'"),
    )
