"""Every query about usage: counted by the hour from executions and what is known of removed ones, summed by the day."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import MalformedBody
from store.dialect import truncated_to_hour, upsert
from store.executions import CLOCKS_DIFFER
from store.paging import Page
from store.removed import ACCEPTED, CARRIED_OUT, STEPS, TESTS, hour_of
from store.tables import CustomerRow, ExecutionRow, HourRow, InstanceRow, RemovedRow, StepRow, UsageDayRow, UsageHourRow

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
COUNTED = ("succeeded", "failed", "canceled", "skipped", TESTS, STEPS)

Counts = defaultdict[tuple[datetime, str], Counter[str]]  # by hour and customer


@dataclass(frozen=True)
class UsageFilter:
    since: date
    until: date
    customer_ids: Sequence[str] = ()


@dataclass(frozen=True)
class UsageView:
    row: UsageDayRow
    customer_name: str | None  # none: deleted since


class Usage:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def list(self, wanted: UsageFilter, page: Page) -> Sequence[UsageView]:
        """The newest day first, customers by id."""
        query = select(UsageDayRow, CustomerRow.name).outerjoin(CustomerRow, CustomerRow.id == UsageDayRow.customer_id)
        query = query.where(UsageDayRow.day >= wanted.since, UsageDayRow.day <= wanted.until)
        if wanted.customer_ids:
            query = query.where(UsageDayRow.customer_id.in_(wanted.customer_ids))
        if page.after is not None:
            query = query.where(_behind(page.after))
        query = query.order_by(UsageDayRow.day.desc(), UsageDayRow.customer_id).limit(page.limit + 1)
        return [UsageView(*row) for row in await self.session.execute(query)]

    async def unsettled_since(self, now: datetime) -> datetime:
        """The first hour that is not settled: at the latest that of the oldest execution."""
        last = await self.session.scalar(select(func.max(HourRow.hour)).where(HourRow.settled_at.is_not(None)))
        if last is not None:
            return last + HOUR
        oldest = await self.session.scalar(select(ExecutionRow.queued_at).order_by(ExecutionRow.id).limit(1))
        return hour_of(oldest or now)

    async def is_sampled(self, hour: datetime) -> bool:
        row = await self.session.get(HourRow, hour)
        return row is not None and row.sampled_at is not None

    async def sample(self, now: datetime) -> None:
        """How many instances each customer has enabled now: configured, deployed, neither paused nor suspended."""
        query = select(InstanceRow.customer_id, func.count()).where(
            InstanceRow.enabled,
            InstanceRow.configured,
            InstanceRow.deployment_id.is_not(None),
            InstanceRow.suspended_at.is_(None),
            ~InstanceRow.deleting,
        )
        found = await self.session.execute(query.group_by(InstanceRow.customer_id).order_by(InstanceRow.customer_id))
        hour = hour_of(now)
        values = [{"hour": hour, "customer_id": customer, "enabled_instances": count} for customer, count in found]
        await upsert(self.session, UsageHourRow, values, ["hour", "customer_id"])
        await upsert(self.session, HourRow, {"hour": hour, "sampled_at": now}, ["hour"])

    async def ended(self, since: datetime, until: datetime) -> Counts:
        """What ended in these hours, those included that were removed since."""
        counts: Counts = defaultdict(Counter)
        hour = truncated_to_hour(self.session, ExecutionRow.ended_at)
        by = (hour, ExecutionRow.customer_id)
        ended = (
            # The one that has an index: nothing changes after its end what it was before.
            ExecutionRow.updated_at >= since - CLOCKS_DIFFER,
            ExecutionRow.ended_at >= since,
            ExecutionRow.ended_at < until,
        )
        what = (ExecutionRow.status, ExecutionRow.is_test)
        executions = select(*by, *what, func.count()).where(*ended).group_by(*by, *what)
        for at, customer_id, status, is_test, count in await self.session.execute(executions):
            counts[at, customer_id][TESTS if is_test else status] += count
        steps = select(*by, func.count()).join(StepRow, StepRow.execution_id == ExecutionRow.id)
        for at, customer_id, count in await self.session.execute(steps.where(*ended, CARRIED_OUT).group_by(*by)):
            counts[at, customer_id][STEPS] += count
        removed = select(RemovedRow).where(RemovedRow.hour >= since, RemovedRow.hour < until)
        for row in await self.session.scalars(removed.where(RemovedRow.kind != ACCEPTED)):
            counts[row.hour, row.customer_id][row.kind] += row.count
        return counts

    async def put(self, counts: Counts) -> None:
        """What `ended` has counted, however often."""
        values = [
            {"hour": hour, "customer_id": customer_id} | {name: count[name] for name in COUNTED}
            for (hour, customer_id), count in sorted(counts.items())
        ]
        await upsert(self.session, UsageHourRow, values, ["hour", "customer_id"])

    async def sum_up(self, day: date, now: datetime) -> None:
        begins = datetime.combine(day, time(), UTC)
        in_day = (UsageHourRow.hour >= begins) & (UsageHourRow.hour < begins + DAY)
        names = ("enabled_instances", *COUNTED)
        sums = [func.sum(getattr(UsageHourRow, name)).label(name) for name in names]
        query = select(UsageHourRow.customer_id, *sums).where(in_day).group_by(UsageHourRow.customer_id)
        rows = (await self.session.execute(query.order_by(UsageHourRow.customer_id))).mappings().all()
        samples = await self._samples(begins)
        values = [
            dict(row) | {"day": day, "updated_at": now, "enabled_instances": row["enabled_instances"] / max(samples, 1)}
            for row in rows
        ]
        await upsert(self.session, UsageDayRow, values, ["day", "customer_id"])

    async def purge(self, before: datetime) -> None:
        """Hours that nobody asks for any more; the days stay."""
        for row in (UsageHourRow, HourRow, RemovedRow):
            await self.session.execute(delete(row).where(row.hour < before))

    async def _samples(self, begins: datetime) -> int:
        query = select(func.count()).where(HourRow.hour >= begins, HourRow.hour < begins + DAY)
        return await self.session.scalar(query.where(HourRow.sampled_at.is_not(None))) or 0


def key_of(view: UsageView) -> str:
    """What `Page.after` is for the page behind this row."""
    return f"{view.row.day.isoformat()} {view.row.customer_id}"


def _behind(after: str) -> ColumnElement[bool]:
    day, _, customer_id = after.partition(" ")
    try:
        last = date.fromisoformat(day)
    except ValueError:
        detail = "The cursor does not belong to this list and this order."
        raise MalformedBody(detail, code="invalid_cursor") from None
    return or_(UsageDayRow.day < last, (UsageDayRow.day == last) & (UsageDayRow.customer_id > customer_id))
