"""Removing what is kept no longer, a bounded batch at a time, so that traffic does not notice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from temporalio import activity

from domain.retention import Kind, Retention
from domain.sweeps import RetentionInput, RetentionReport
from runtime import metrics
from runtime.clock import utcnow
from store.engine import Database
from store.retention import Batch, Expired
from store.sweeps import Sweeps

SWEEP = "retention"
LOOK_AT = {Kind.EXECUTIONS: 100, Kind.PAYLOADS: 200, Kind.STEP_OUTPUTS: 100, Kind.LOGS: 500}  # rows in a transaction
SECONDS = 20.0  # of one activity


class RetentionActivities:
    def __init__(self, database: Database, retention: Retention) -> None:
        self._database = database
        self._retention = retention

    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        return [self.remove_expired, self.end_retention]

    @activity.defn
    async def remove_expired(self, message: RetentionInput) -> RetentionReport:
        """Goes on where `message` says, until nothing is left or its time is up. May be repeated at any point."""
        now, kinds = datetime.fromisoformat(message.now), list(Kind)
        report = RetentionReport(message.kind, message.after, message.removed)
        until = asyncio.get_running_loop().time() + SECONDS
        while asyncio.get_running_loop().time() < until:
            kind = Kind(report.kind)
            after = await self._batch(kind, now, report) if self._retention.goes_first(kind) else None
            if after is None and kind == kinds[-1]:
                report.done = True
                break
            report.kind, report.after = (kind, after) if after is not None else (kinds[kinds.index(kind) + 1], "")
            activity.heartbeat()
        return report

    @activity.defn
    async def end_retention(self, report: RetentionReport) -> None:
        """What it has removed, for whoever asks."""
        async with self._database.transaction() as session:
            await Sweeps(session).note(SWEEP, "", utcnow(), {"removed": report.removed})

    async def _batch(self, kind: Kind, now: datetime, report: RetentionReport) -> str | None:
        """At most half of the time is its own: the other half is for who has been waiting meanwhile."""
        began = asyncio.get_running_loop().time()
        async with self._database.transaction() as session:
            batch = await self._remove(Expired(session), kind, now, report.after)
        metrics.REMOVED.labels(kind).inc(batch.removed)
        report.removed[kind] = report.removed.get(kind, 0) + batch.removed
        await asyncio.sleep(asyncio.get_running_loop().time() - began)
        return batch.after

    async def _remove(self, expired: Expired, kind: Kind, now: datetime, after: str) -> Batch:
        cutoffs, limit = self._retention.cutoffs(kind, now), LOOK_AT[kind]
        match kind:
            case Kind.EXECUTIONS:
                return await expired.remove_executions(cutoffs, after, limit)
            case Kind.PAYLOADS:
                return await expired.remove_payloads(cutoffs, after, limit)
            case Kind.STEP_OUTPUTS:
                return await expired.remove_step_values(cutoffs, after, limit, utcnow())
            case Kind.LOGS:
                return await expired.remove_logs(cutoffs, after, limit)
