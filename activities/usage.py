"""Counting what was used, and whether the books balance: by the hour, from the ledger, never on an execution's road."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from domain.retention import Retention
from domain.sweeps import UsageReport
from runtime.clock import utcnow
from store.conservation import Conservation
from store.engine import Database
from store.removed import hour_of
from store.sweeps import Sweeps
from store.usage import HOUR, Usage

SWEEP = "conservation"
SETTLES_AFTER = timedelta(minutes=10)  # nobody commits what he accepted that long ago
AT_ONCE = 48  # hours counted by one run: after a long outage the next ones go on
CHECKED_AGAIN = 12  # hours of the past, by turns
KEPT_LONGER = timedelta(days=7)


class UsageActivities:
    def __init__(self, database: Database, retention: Retention) -> None:
        self._database = database
        self._kept = max(retention.executions, retention.unresolved) + KEPT_LONGER

    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        return [self.count_usage]

    @activity.defn
    async def count_usage(self) -> UsageReport:
        """Counts anew what is not settled yet. May be repeated at any time, beside others: it sets, it never adds."""
        now, report = utcnow(), UsageReport()
        await self._sample(now)
        more = True
        while more:
            more = await self._count(now, report)
            activity.heartbeat()
        await self._check(now, report)
        async with self._database.transaction() as session:
            await Usage(session).purge(now - self._kept)
        return report

    async def _sample(self, now: datetime) -> None:
        async with self._database.transaction() as session:
            if not await Usage(session).is_sampled(hour_of(now)):
                await Usage(session).sample(now)

    async def _count(self, now: datetime, report: UsageReport) -> bool:
        """Whether more hours are left than one look should count. It reads apart from its writes, which are short."""
        async with self._database.snapshot() as session:
            since = await Usage(session).unsettled_since(now)
            until = min(since + AT_ONCE * HOUR, hour_of(now) + HOUR)
            hours = [since + number * HOUR for number in range(max((until - since) // HOUR, 0))]
            settled = [hour for hour in hours if hour + HOUR + SETTLES_AFTER <= now]
            counts = await Usage(session).ended(since, until)
            books = await Conservation(session).books(since, until) if settled else {}
        async with self._database.transaction() as session:
            await Usage(session).put(counts)
            await Conservation(session).settle(settled, books, now)
            for day in sorted({hour.date() for hour in hours}):
                await Usage(session).sum_up(day, now)
        report.hours += len(hours)
        report.settled += len(settled)
        return until <= hour_of(now)

    async def _check(self, now: datetime, report: UsageReport) -> None:
        """The last hours each time, those before by turns."""
        async with self._database.snapshot() as session:
            sweep = await Sweeps(session).get(SWEEP)
            first = max(await Conservation(session).first_hour() or now, hour_of(now - self._kept))
        recent = hour_of(now) - HOUR
        turn = datetime.fromisoformat(sweep.position) if sweep is not None else first
        turn = turn if first <= turn < recent else first
        end = min(turn + CHECKED_AGAIN * HOUR, recent)
        for since, until in ((turn, end), (recent, hour_of(now) + HOUR)):
            await self._check_hours(since, until, report)
        async with self._database.transaction() as session:
            report.imbalance = await Conservation(session).imbalance()
            position = (end if turn < end else first).isoformat()
            await Sweeps(session).note(SWEEP, position, now, {"imbalance": report.imbalance})

    async def _check_hours(self, since: datetime, until: datetime, report: UsageReport) -> None:
        if since >= until:
            return
        async with self._database.snapshot() as session:
            books = await Conservation(session).books(since, until)
        async with self._database.transaction() as session:
            await Conservation(session).note(since, until, books)
        report.checked += (until - since) // HOUR
        activity.heartbeat()
