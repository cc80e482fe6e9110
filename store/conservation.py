"""The conservation ledger: for each customer and hour, what was accepted is ended, in flight or held.

The sides are counted apart. Accepted are the executions of the hour and the payloads that have none; once the hour is
settled that number stands, whatever becomes of the rows. Ended, in flight and held are what the rows are now, and those
that were removed since. So an execution that vanishes, that lost its row but not its payload, or that nobody looks
after any more makes the books unequal.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, exists, func, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import OPEN, TERMINAL, Status
from domain.ids import first_id
from store.dialect import truncated_to_hour, upsert
from store.executions import CLOCKS_DIFFER
from store.removal import SHARING
from store.removed import ACCEPTED
from store.tables import ExecutionRow, HourRow, InstanceRow, PayloadRow, RemovedRow, UsageHourRow

Key = tuple[datetime, str]  # hour, customer


@dataclass
class Books:
    """Of one customer and one hour."""

    ended: int = 0
    removed: int = 0  # of the ended
    in_flight: int = 0
    held: int = 0
    astray: int = 0  # rows that are none of these
    orphans: int = 0  # payloads without an execution
    settled: bool = False
    recorded: int = 0  # when it was settled

    @property
    def accepted(self) -> int:
        found = self.ended + self.in_flight + self.held + self.astray + self.orphans
        return self.recorded if self.settled else found

    @property
    def imbalance(self) -> int:
        return self.accepted - self.ended - self.in_flight - self.held


class Conservation:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def books(self, since: datetime, until: datetime, customer_ids: Sequence[str] = ()) -> dict[Key, Books]:
        """Of every hour in which something was accepted. Whole hours: from `since` on, and before `until`."""
        found: defaultdict[Key, Books] = defaultdict(Books)
        await self._add_rows(found, since, until, customer_ids)
        await self._add_orphans(found, since, until, customer_ids)
        await self._add_removed(found, since, until, customer_ids)
        await self._add_recorded(found, since, until, customer_ids)
        return dict(found)

    async def settle(self, hours: Sequence[datetime], books: dict[Key, Books], now: datetime) -> None:
        """What was accepted in these hours stands from now on."""
        values = [
            {"hour": hour, "customer_id": customer_id, "accepted": each.accepted}
            for (hour, customer_id), each in sorted(books.items())
            if hour in hours
        ]
        await upsert(self.session, UsageHourRow, values, ["hour", "customer_id"])
        await upsert(self.session, HourRow, [{"hour": hour, "settled_at": now} for hour in hours], ["hour"])

    async def note(self, since: datetime, until: datetime, books: dict[Key, Books]) -> None:
        """Which of these hours do not balance."""
        in_range = (UsageHourRow.hour >= since) & (UsageHourRow.hour < until) & (UsageHourRow.imbalance != 0)
        await self.session.execute(update(UsageHourRow).where(in_range).values(imbalance=0))
        values = [
            {"hour": hour, "customer_id": customer_id, "imbalance": each.imbalance}
            for (hour, customer_id), each in sorted(books.items())
            if each.imbalance
        ]
        await upsert(self.session, UsageHourRow, values, ["hour", "customer_id"])

    async def imbalance(self) -> int:
        """Of all hours, as last noted."""
        total = select(func.sum(func.abs(UsageHourRow.imbalance))).where(UsageHourRow.imbalance != 0)
        return await self.session.scalar(total) or 0

    async def first_hour(self) -> datetime | None:
        return await self.session.scalar(select(func.min(HourRow.hour)))

    async def _add_rows(
        self, found: defaultdict[Key, Books], since: datetime, until: datetime, customer_ids: Sequence[str]
    ) -> None:
        by = (truncated_to_hour(self.session, ExecutionRow.queued_at), ExecutionRow.customer_id)
        kinds = ("ended", "held", "in_flight", "astray")
        sums = [func.sum(case((condition, 1), else_=0)) for condition in _kinds()]
        query = select(*by, *sums).where(
            # The one that has an index: a row has changed last when it was accepted, or later.
            ExecutionRow.updated_at >= since - CLOCKS_DIFFER,
            ExecutionRow.queued_at >= since,
            ExecutionRow.queued_at < until,
        )
        if customer_ids:
            query = query.where(ExecutionRow.customer_id.in_(customer_ids))
        for hour, customer_id, *counts in await self.session.execute(query.group_by(*by)):
            vars(found[hour, customer_id]).update(zip(kinds, counts, strict=True))

    async def _add_orphans(
        self, found: defaultdict[Key, Books], since: datetime, until: datetime, customer_ids: Sequence[str]
    ) -> None:
        by = (truncated_to_hour(self.session, PayloadRow.created_at), InstanceRow.customer_id)
        shared = SHARING & (ExecutionRow.payload_id == PayloadRow.id)
        query = (
            select(*by, func.count())
            .join(InstanceRow, InstanceRow.id == PayloadRow.instance_id)
            .where(
                PayloadRow.id >= first_id("exec", since - CLOCKS_DIFFER),
                PayloadRow.id < first_id("exec", until + CLOCKS_DIFFER),
                PayloadRow.created_at >= since,
                PayloadRow.created_at < until,
                ~exists().where(ExecutionRow.id == PayloadRow.id),
                ~exists().where(shared),
            )
        )
        if customer_ids:
            query = query.where(InstanceRow.customer_id.in_(customer_ids))
        for hour, customer_id, count in await self.session.execute(query.group_by(*by)):
            found[hour, customer_id].orphans = count

    async def _add_removed(
        self, found: defaultdict[Key, Books], since: datetime, until: datetime, customer_ids: Sequence[str]
    ) -> None:
        query = select(RemovedRow.hour, RemovedRow.customer_id, RemovedRow.count).where(
            RemovedRow.hour >= since, RemovedRow.hour < until, RemovedRow.kind == ACCEPTED
        )
        if customer_ids:
            query = query.where(RemovedRow.customer_id.in_(customer_ids))
        for hour, customer_id, count in await self.session.execute(query):
            found[hour, customer_id].removed = count
            found[hour, customer_id].ended += count

    async def _add_recorded(
        self, found: defaultdict[Key, Books], since: datetime, until: datetime, customer_ids: Sequence[str]
    ) -> None:
        in_range = (HourRow.hour >= since, HourRow.hour < until, HourRow.settled_at.is_not(None))
        settled = set(await self.session.scalars(select(HourRow.hour).where(*in_range)))
        query = select(UsageHourRow.hour, UsageHourRow.customer_id, UsageHourRow.accepted).where(
            UsageHourRow.hour >= since, UsageHourRow.hour < until, UsageHourRow.accepted.is_not(None)
        )
        if customer_ids:
            query = query.where(UsageHourRow.customer_id.in_(customer_ids))
        for hour, customer_id, accepted in await self.session.execute(query):
            found[hour, customer_id].recorded = accepted or 0
        for hour, customer_id in found:
            found[hour, customer_id].settled = hour in settled


def _kinds() -> tuple[ColumnElement[bool], ...]:
    """Ended, held, in flight and astray: every row is one of these."""
    ended = and_(ExecutionRow.status.in_(TERMINAL), ExecutionRow.ended_at.is_not(None))
    is_open = and_(ExecutionRow.status.in_(OPEN), ExecutionRow.ended_at.is_(None))
    behind = and_(ExecutionRow.queue_key.is_not(None), ExecutionRow.handed_over_at.is_(None))
    waits = and_(ExecutionRow.status == Status.QUEUED, or_(ExecutionRow.held.is_not(None), behind))
    # Upkeep looks for what was not handed over, and at what is due for a look.
    watched = or_(ExecutionRow.handed_over_at.is_(None), ExecutionRow.check_after.is_not(None))
    held, in_flight = and_(is_open, waits), and_(is_open, not_(waits), watched)
    return ended, held, in_flight, not_(or_(ended, held, in_flight))
