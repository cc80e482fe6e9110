"""One look over the ledger: start what was accepted while Temporal was away, mend what ended behind our back."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import TypeVar

import structlog
from temporalio import activity
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowExecutionStatus,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.executions import CHECK_INTERVAL
from activities.handover import Starter, handover_of
from activities.job_starts import JobStarter
from activities.metering import Tally
from activities.schedules import Schedules
from domain.executions import Status
from domain.messages import UPKEEP_SCHEDULE, UPKEEP_WORKFLOW, Failure, SweepReport
from runtime.clock import utcnow
from store.engine import Database
from store.executions import Executions, ExecutionView
from store.idempotency import IdempotencyRecords
from store.instance_flows import InstanceFlows
from store.jobs import Jobs

T = TypeVar("T")

log = structlog.get_logger()

SWEEP_EVERY = timedelta(seconds=10)
HANDOVER_AFTER = timedelta(seconds=10)
CANCEL_GRACE = timedelta(seconds=30)
IDEMPOTENCY_KEPT = timedelta(hours=24)
TOMBSTONES_KEPT = timedelta(days=30)
HANDOVER_SECONDS = 20.0  # of one sweep; the others wait for it
BATCH = 200
AT_ONCE = 16

# How Temporal says a workflow ended → what the ledger then says. COMPLETED is not here: it has closed its row itself.
ENDED = {
    WorkflowExecutionStatus.TERMINATED: (Status.FAILED, "terminated", "The workflow was terminated in Temporal"),
    WorkflowExecutionStatus.CANCELED: (Status.CANCELED, "canceled", "The workflow was canceled in Temporal"),
    WorkflowExecutionStatus.TIMED_OUT: (Status.FAILED, "timed_out", "The workflow timed out in Temporal"),
    WorkflowExecutionStatus.FAILED: (Status.FAILED, "workflow_failed", "The workflow failed before it could say why"),
    WorkflowExecutionStatus.COMPLETED: (Status.FAILED, "record_lost", "The workflow ended, its record was lost"),
}


async def ensure_upkeep(client: Client, task_queue: str) -> None:
    """The Temporal Schedule that sweeps every few seconds, unless it is there."""
    action = ScheduleActionStartWorkflow(UPKEEP_WORKFLOW, id=UPKEEP_SCHEDULE, task_queue=task_queue)
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=SWEEP_EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=SWEEP_EVERY),
    )
    with suppress(ScheduleAlreadyRunningError):
        await client.create_schedule(UPKEEP_SCHEDULE, schedule)


class UpkeepActivities:
    def __init__(
        self, client: Client, database: Database, starter: Starter, schedules: Schedules, jobs: JobStarter
    ) -> None:
        self._client = client
        self._database = database
        self._starter = starter
        self._schedules = schedules
        self._jobs = jobs

    @activity.defn
    async def sweep(self) -> SweepReport:
        """Bounded, oldest first, safe beside other sweeps: every act on a row is conditional or idempotent."""
        report = SweepReport()
        await self._hand_over(report)
        await self._compare(report)
        await self._start_jobs(report)
        await self._sync_schedules(report)
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
        try:
            status = (await handle.describe()).status
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return await self._begin_anew(view)
        if status in ENDED:
            return await self._close(view, *ENDED[status])
        if row.cancel_requested_at is None:
            return False
        if row.cancel_requested_at > utcnow() - CANCEL_GRACE:
            await handle.cancel()  # Temporal may have been away when it was asked for
            return False
        await handle.terminate("Cancel was asked for and the execution did not end")
        return await self._close(view, Status.CANCELED, "terminated", "Canceled; it had to be terminated")

    async def _begin_anew(self, view: ExecutionView) -> bool:
        """Temporal has never heard of it, or no longer: the ledger's records make what was done harmless."""
        if view.row.workflow_id != view.row.id:
            return await self._close(view, Status.FAILED, "workflow_lost", "The schedule's workflow is gone")
        await self._starter.start(handover_of(view, attempts_made=max(view.row.attempt - 1, 0)))
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
            moved = await Executions(session).move(view.row.id, view.row.max_attempts, values) is not None
            if moved:
                await InstanceFlows(session).note_ended(view.row, failed=status == Status.FAILED, at=now)
                tally.finished(await InstanceFlows(session).keys_of(view.row.instance_flow_id), view.row, status)
        tally.count()
        return moved

    async def _start_jobs(self, report: SweepReport) -> None:
        async with self._database.snapshot() as session:
            jobs = await Jobs(session).pending_handover(utcnow() - HANDOVER_AFTER, BATCH)
        await self._each(jobs, self._jobs.start, report)

    async def _sync_schedules(self, report: SweepReport) -> None:
        async with self._database.snapshot() as session:
            flows = await InstanceFlows(session).dirty_schedules(BATCH)
        await self._each(sorted({flow.instance_id for flow in flows}), self._schedules.sync_instance, report)

    async def _purge(self) -> None:
        async with self._database.transaction() as session:
            await IdempotencyRecords(session).purge(utcnow() - IDEMPOTENCY_KEPT)
            await InstanceFlows(session).purge_tombstones(utcnow() - TOMBSTONES_KEPT)

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
