"""The reconciler: what Temporal lists, compared with the ledger, and the ledger mended by what Temporal says.

Upkeep goes the other way: it asks Temporal for what is open in the ledger. What it finds counts among the differences.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.recovery import Recovery, execution_id_of, outcome_of
from domain.executions import TERMINAL
from domain.instants import utc_text
from domain.messages import EXECUTION_WORKFLOW
from domain.retention import Retention
from domain.sweeps import ReconcileReport
from runtime import metrics
from runtime.clock import utcnow
from store.engine import Database
from store.executions import Executions, Standing
from store.sweeps import Sweeps

SWEEP = "reconcile"
GRACE = timedelta(minutes=1)  # until both have heard of what one of them has done, and Temporal's list shows it
PATIENCE = timedelta(minutes=10)  # with a workflow that goes on although it was asked to end
FURTHEST_BACK = timedelta(hours=24)
WINDOW = timedelta(minutes=1)  # of ends that are looked at together
SECONDS = 30.0  # of one look; the next one goes on
MOST_RUNNING = 5_000
BATCH = 200
BEGUN = 3  # events of a history: started, and its first task given to a worker

RUNNING_HERE_ENDED = "running_in_temporal"
MISSING_HERE = "missing_in_ledger"

log = structlog.get_logger()


class Positions(NamedTuple):
    """Where the next look goes on: backwards in the starts of what runs, forwards in the ends of what has ended."""

    started_before: datetime
    ended_since: datetime

    @classmethod
    def read(cls, text: str | None, now: datetime, kept: timedelta, grace: timedelta = GRACE) -> "Positions":
        """What ended long ago may be gone from the ledger because it is kept no longer."""
        newest, oldest = now - grace, now - min(FURTHEST_BACK, kept / 2)
        if text is None:
            return cls(newest, max(oldest, now - timedelta(hours=1)))
        started, ended = map(datetime.fromisoformat, json.loads(text))
        return cls(min(started, newest), max(ended, oldest))

    def write(self) -> str:
        return json.dumps([each.isoformat() for each in self])


class ReconcileActivities:
    def __init__(
        self, client: Client, database: Database, task_queue: str, retention: Retention, grace: timedelta = GRACE
    ) -> None:
        self._client = client
        self._database = database
        self._recovery = Recovery(client, database)
        self._mine = f"WorkflowType = '{EXECUTION_WORKFLOW}' AND TaskQueue = '{task_queue}'"
        self._kept = retention.executions
        self._grace = grace

    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        return [self.reconcile]

    @activity.defn
    async def reconcile(self) -> ReconcileReport:
        """Bounded; the next look goes on where this one ends. May be repeated: every act is conditional."""
        now, report = utcnow(), ReconcileReport()
        async with self._database.snapshot() as session:
            sweep = await Sweeps(session).get(SWEEP)
        positions = Positions.read(sweep.position if sweep is not None else None, now, self._kept, self._grace)
        positions = Positions(
            await self._look_at_running(positions.started_before, now, report),
            await self._look_at_ended(positions.ended_since, now, report),
        )
        async with self._database.transaction() as session:
            await Sweeps(session).note(SWEEP, positions.write(), now, asdict(report))
        return report

    async def _look_at_running(self, started_before: datetime, now: datetime, report: ReconcileReport) -> datetime:
        """From the latest start to the first, and round again."""
        query = f"{self._mine} AND ExecutionStatus = 'Running' AND StartTime <= '{utc_text(started_before)}'"
        seen = 0
        async for batch in self._listed(query, MOST_RUNNING):
            seen += len(batch)
            started_before = batch[-1].start_time
            await self._compare(batch, self._mend_running, report)
        return started_before if seen == MOST_RUNNING else now

    async def _look_at_ended(self, since: datetime, now: datetime, report: ReconcileReport) -> datetime:
        """One window after the other, until now or until its time is up."""
        deadline = asyncio.get_running_loop().time() + SECONDS
        while since + WINDOW <= now - self._grace and asyncio.get_running_loop().time() < deadline:
            until = since + WINDOW
            bounds = f"CloseTime >= '{utc_text(since)}' AND CloseTime < '{utc_text(until)}'"
            async for batch in self._listed(f"{self._mine} AND {bounds}", None):
                await self._compare(batch, self._mend_ended, report)
            since = until
        return since

    async def _listed(self, query: str, limit: int | None) -> AsyncIterator[Sequence[WorkflowExecution]]:
        batch: list[WorkflowExecution] = []
        async for workflow in self._client.list_workflows(query, page_size=BATCH, limit=limit):
            batch.append(workflow)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _compare(
        self,
        workflows: Sequence[WorkflowExecution],
        mend: Callable[[str, WorkflowExecution, Standing | None], Awaitable[str | None]],
        report: ReconcileReport,
    ) -> None:
        """One that cannot be mended does not hold up the others; it is seen again, or Temporal forgets it."""
        activity.heartbeat()
        report.looked_at += len(workflows)
        named = {execution_id_of(workflow): workflow for workflow in workflows}
        async with self._database.snapshot() as session:
            standings = await Executions(session).standings(list(named))
        for execution_id, workflow in named.items():
            try:
                kind = await mend(execution_id, workflow, standings.get(execution_id))
            except Exception as error:
                report.failed += 1
                log.warning("reconcile_failed", execution_id=execution_id, error=type(error).__name__)
                continue
            if kind is not None:
                log.warning("reconciled", execution_id=execution_id, kind=kind)
                metrics.DIFFERENCES.labels(kind).inc()
                report.differences[kind] = report.differences.get(kind, 0) + 1

    async def _mend_running(self, execution_id: str, workflow: WorkflowExecution, here: Standing | None) -> str | None:
        if here is None:
            return await self._recover_running(execution_id, workflow)
        ended_at = here.ended_at if here.status in TERMINAL and here.check_after is None else None
        if ended_at is None or ended_at > utcnow() - self._grace or not await self._runs(workflow):
            return None
        handle = self._client.get_workflow_handle(workflow.id)
        if ended_at > utcnow() - PATIENCE:
            await handle.cancel()  # the ledger has told how it ended, and that stays
        else:
            await handle.terminate("The ledger says that it has ended")
        return RUNNING_HERE_ENDED

    async def _recover_running(self, execution_id: str, workflow: WorkflowExecution) -> str | None:
        """A schedule's comes to the ledger with its first task, which may wait long for a worker."""
        described = await self._client.get_workflow_handle(workflow.id, run_id=workflow.run_id).describe()
        if described.status != WorkflowExecutionStatus.RUNNING:
            return None
        if execution_id != workflow.id and described.history_length <= BEGUN:
            return None
        return MISSING_HERE if await self._recovery.recover(execution_id, workflow) else None

    async def _mend_ended(self, execution_id: str, workflow: WorkflowExecution, here: Standing | None) -> str | None:
        """What the ledger has is compared by upkeep. What was never closed has left nothing to be told."""
        if here is not None or outcome_of(workflow) is None:
            return None
        return MISSING_HERE if await self._recovery.recover(execution_id, workflow) else None

    async def _runs(self, workflow: WorkflowExecution) -> bool:
        try:
            described = await self._client.get_workflow_handle(workflow.id).describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return False
        return described.status == WorkflowExecutionStatus.RUNNING
