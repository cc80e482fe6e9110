"""One look over the ledger: start what was accepted while Temporal was away, mend what ended behind our back."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.executions import CHECK_INTERVAL
from activities.handover import Starter, anew, handover_of
from activities.heartbeats import heartbeats
from activities.job_starts import JobStarter
from activities.keeping import Keeping
from activities.metering import Tally
from activities.outbox import announce_execution
from activities.outcomes import note_failure
from activities.parking import park
from activities.recovery import outcome_of
from activities.recurring import Recurring
from activities.replacing import Replacer
from activities.schedules import Schedules
from activities.waiting import tell_waiting
from domain.executions import TERMINAL, Status, edition_of
from domain.messages import TURN_SIGNAL, UPKEEP_SCHEDULE, UPKEEP_WORKFLOW, Failure
from domain.sweeps import SweepReport
from runtime import metrics
from runtime.clock import utcnow
from store.engine import Database
from store.executions import Executions, ExecutionView
from store.idempotency import IdempotencyRecords
from store.instance_flows import InstanceFlows
from store.jobs import Jobs
from store.lineage import Lineage
from store.parking import Parking
from store.queues import Queues
from store.retention import Expired
from store.tables import InstanceFlowRow, InstanceRow

T = TypeVar("T")

log = structlog.get_logger()

SWEEP_EVERY = timedelta(seconds=10)
HANDOVER_AFTER = timedelta(seconds=10)
CANCEL_GRACE = timedelta(seconds=30)
IDEMPOTENCY_KEPT = timedelta(hours=24)
TOMBSTONES_KEPT = timedelta(days=30)
HANDOVER_SECONDS = 20.0  # of one sweep; the others wait for it
BATCH = 200
SCHEDULES = 50  # compared with Temporal's in one sweep
AT_ONCE = 16

# How Temporal says a workflow ended → what the ledger then says. COMPLETED is not here: it has closed its row itself.
ENDED = {
    WorkflowExecutionStatus.TERMINATED: (Status.FAILED, "terminated", "The workflow was terminated in Temporal"),
    WorkflowExecutionStatus.CANCELED: (Status.CANCELED, "canceled", "The workflow was canceled in Temporal"),
    WorkflowExecutionStatus.TIMED_OUT: (Status.FAILED, "timed_out", "The workflow timed out in Temporal"),
    WorkflowExecutionStatus.FAILED: (Status.FAILED, "workflow_failed", "The workflow failed before it could say why"),
    WorkflowExecutionStatus.COMPLETED: (Status.FAILED, "record_lost", "The workflow ended, its record was lost"),
}


# What the ledger and Temporal differ in; activities/reconcile.py finds the others.
LOST_THERE, ENDED_THERE = "lost_in_temporal", "ended_in_temporal"


async def ensure_upkeep(client: Client, task_queue: str) -> bool:
    """The Temporal Schedule that sweeps every few seconds; False: it was there."""
    return await Recurring(UPKEEP_WORKFLOW, UPKEEP_SCHEDULE, SWEEP_EVERY).ensure(client, task_queue)


async def keep_upkeep(client: Client, task_queue: str, prepare: Callable[[], Awaitable[None]], every: float) -> None:
    """Without end: makes the schedule again when Temporal has lost its memory, and the namespace fit for use."""
    while True:
        await asyncio.sleep(every)
        try:
            if await ensure_upkeep(client, task_queue):
                log.warning("upkeep_was_lost")
                await prepare()
        except Exception as error:
            log.warning("upkeep_not_kept", error=type(error).__name__, detail=str(error)[:500])


class UpkeepActivities:
    def __init__(
        self, client: Client, database: Database, starter: Starter, schedules: Schedules, jobs: JobStarter
    ) -> None:
        self._client = client
        self._database = database
        self._starter = starter
        self._replacer = Replacer(client, starter)
        self._schedules = schedules
        self._jobs = jobs
        self._told = ""  # the last flow whose queue was told that something waits in it
        self._keeping = Keeping()
        self._checked = ""  # the last flow whose schedule was compared with Temporal's

    @activity.defn
    async def sweep(self) -> SweepReport:
        """Bounded, oldest first, safe beside other sweeps: every act on a row is conditional or idempotent."""
        report = SweepReport()
        async with heartbeats():
            await self._hand_over(report)
            await self._compare(report)
            await self._tell_queues(report)
            await tell_waiting(self._client, self._database, BATCH)
            await self._start_jobs(report)
            await self._sync_schedules(report)
            await self._check_schedules(report)
            await self._purge()
        return report

    async def _hand_over(self, report: SweepReport) -> None:
        """Batch after batch while they come full and time is left: a long outage leaves many."""
        deadline = asyncio.get_running_loop().time() + HANDOVER_SECONDS
        while await self._hand_over_batch(report) == BATCH and asyncio.get_running_loop().time() < deadline:
            continue

    async def _hand_over_batch(self, report: SweepReport) -> int:
        """How many were started."""
        async with self._database.snapshot() as session:
            views = await Executions(session).pending(utcnow() - HANDOVER_AFTER, BATCH)

        async def start(view: ExecutionView) -> None:
            await self._starter.start(handover_of(view))
            started.append(view.row.id)

        started: list[str] = []
        await self._each(views, start, report)
        if started:
            async with self._database.transaction() as session:
                await Executions(session).mark_handed_over(started, utcnow(), utcnow() + CHECK_INTERVAL)
        report.started += len(started)
        return len(started)

    async def _compare(self, report: SweepReport) -> None:
        async with self._database.snapshot() as session:
            views = await Executions(session).due_for_check(utcnow(), BATCH)

        async def compare(view: ExecutionView) -> None:
            mended = await self._mend(view)  # apart: others count while this one waits
            report.mended += mended
            report.checked += 1

        await self._each(views, compare, report)
        if views:
            async with self._database.transaction() as session:
                await Executions(session).check_again([view.row.id for view in views], utcnow() + CHECK_INTERVAL)

    async def _mend(self, view: ExecutionView) -> bool:
        """True when the ledger and Temporal differed."""
        row = view.row
        handle = self._client.get_workflow_handle(row.workflow_id or row.id)
        if row.status in TERMINAL:
            return await self._let_go(handle, row.id)
        if edition_of(row.retry) and row.status != Status.RUNNING and await self._replacer.replace(anew(view)):
            return True
        try:
            described = await handle.describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return _counted(LOST_THERE, await self._begin_anew(view))
        if described.status in ENDED:
            return _counted(ENDED_THERE, await self._close(view, *_end_of(described)))
        if row.status == Status.QUEUED and row.run_id is not None and row.handed_over_at is not None:
            await handle.signal(TURN_SIGNAL)  # it has a slot, and waits as if it had never been told
        if row.cancel_requested_at is None:
            return False
        if row.cancel_requested_at > utcnow() - CANCEL_GRACE:
            await handle.cancel()  # Temporal may have been away when it was asked for
            return False
        await handle.terminate("Cancel was asked for and the execution did not end")
        return await self._close(view, Status.CANCELED, "terminated", "Canceled; it had to be terminated")

    async def _let_go(self, handle: WorkflowHandle[Any, Any], execution_id: str) -> bool:
        """It has ended in the ledger first, by a newer delivery: its workflow has nothing to wait for."""
        try:
            await handle.cancel()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        async with self._database.transaction() as session:
            await Executions(session).change(execution_id, {"check_after": None})
        return False

    async def _begin_anew(self, view: ExecutionView) -> bool:
        """Temporal has never heard of it, or no longer: the ledger's records make what was done harmless."""
        if view.row.workflow_id != view.row.id:
            return await self._close(view, Status.FAILED, "workflow_lost", "The schedule's workflow is gone")
        await self._starter.start(anew(view))
        return True

    async def _close(self, view: ExecutionView, status: Status, code: str, message: str) -> bool:
        now = utcnow()
        values = {
            "status": status,
            "ended_at": now,
            "check_after": None,
            "next_attempt_at": None,
            "updated_at": now,
            "reason": code if status == Status.CANCELED else None,
            "error": asdict(Failure(code, message)) if status == Status.FAILED else None,
        }
        tally = Tally()
        async with self._database.transaction() as session:
            edition = edition_of(view.row.retry)
            moved = await Executions(session).move(view.row.id, view.row.max_attempts, values, edition) is not None
            if moved:
                announce_execution(session, view.row, status, failure=Failure(code, message))
                await InstanceFlows(session).note_ended(view.row, failed=status == Status.FAILED, at=now)
                if status == Status.FAILED:
                    await note_failure(session, view.row, code, now)
                    await park(session, view.row, now)
                if status == Status.SUCCEEDED and view.row.root_id is not None:
                    await Lineage(session).note_success(view.row.root_id, view.row.id, now)
                    await Parking(session).note_success(view.row.instance_flow_id, view.row.root_id, now)
                tally.finished(await InstanceFlows(session).keys_of(view.row.instance_flow_id), view.row, status)
                await self._keeping.end(session, view.row.instance_id, view.row.id, now)
        tally.count()
        return moved

    async def _tell_queues(self, report: SweepReport) -> None:
        """Some in each sweep: what told them before may have been lost, and their instance may go on."""
        async with self._database.snapshot() as session:
            queues = await Queues(session).with_waiting(self._told, BATCH)
        self._told = queues[-1].instance_flow_id if len(queues) == BATCH else ""
        await self._each(queues, self._starter.nudge, report)

    async def _start_jobs(self, report: SweepReport) -> None:
        async with self._database.snapshot() as session:
            jobs = await Jobs(session).pending_handover(utcnow() - HANDOVER_AFTER, BATCH)
        await self._each(jobs, self._jobs.start, report)

    async def _sync_schedules(self, report: SweepReport) -> None:
        async with self._database.snapshot() as session:
            flows = await InstanceFlows(session).dirty_schedules(BATCH)
        await self._each(sorted({flow.instance_id for flow in flows}), self._schedules.sync_instance, report)

    async def _check_schedules(self, report: SweepReport) -> None:
        """Some in each sweep, one after another; all at once where Temporal turns out to have lost some."""
        deadline = asyncio.get_running_loop().time() + HANDOVER_SECONDS
        while await self._check_some(report) and asyncio.get_running_loop().time() < deadline:
            continue

    async def _check_some(self, report: SweepReport) -> bool:
        """Whether any of them had to be brought in line."""
        async with self._database.snapshot() as session:
            found = await InstanceFlows(session).scheduled(self._checked, SCHEDULES)
        self._checked = found[-1][0].id if len(found) == SCHEDULES else ""
        differing: set[str] = set()

        async def check(each: tuple[InstanceFlowRow, InstanceRow]) -> None:
            flow, instance = each
            if await self._schedules.differs(instance, flow):
                differing.add(instance.id)

        await self._each(found, check, report)
        await self._each(sorted(differing), self._schedules.sync_instance, report)
        report.mended += len(differing)
        return bool(differing and self._checked)

    async def _purge(self) -> None:
        async with self._database.transaction() as session:
            await IdempotencyRecords(session).purge(utcnow() - IDEMPOTENCY_KEPT)
            await InstanceFlows(session).purge_tombstones(utcnow() - TOMBSTONES_KEPT)
            await Expired(session).forget_answers(utcnow(), BATCH)

    async def _each(self, items: Iterable[T], act: Callable[[T], Awaitable[None]], report: SweepReport) -> None:
        """A few at once. One that fails does not hold up the others; the next sweep sees it again."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def guarded(item: T) -> None:
            async with gate:
                try:
                    await act(item)
                except Exception as error:
                    report.failed += 1
                    log.warning("upkeep_failed", error=type(error).__name__, detail=str(error)[:500])

        await asyncio.gather(*(guarded(item) for item in items))


def _end_of(described: WorkflowExecution) -> tuple[Status, str, str]:
    """As Temporal tells it; of one that says how it came out, that."""
    status, code, message = ENDED[described.status or WorkflowExecutionStatus.FAILED]
    told = outcome_of(described) if described.status == WorkflowExecutionStatus.COMPLETED else None
    return told or status, code, message


def _counted(kind: str, mended: bool) -> bool:
    if mended:
        metrics.DIFFERENCES.labels(kind).inc()
    return mended
