"""The sweep for those who want to be told: facts off the outbox, conditions looked for, messages set on their way."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

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
)
from temporalio.common import WorkflowIDConflictPolicy

from activities.alerting import Alerting
from activities.conditions import ConditionLook
from activities.deliveries import start_delivery
from activities.dispatch import BATCH, Dispatcher
from activities.heartbeats import heartbeats
from activities.log_streams import start_forsaken
from activities.outbox import Outbox
from domain.messages import WATCH_SCHEDULE, WATCH_WORKFLOW, watch_queue
from domain.sweeps import WatchInput, WatchReport
from runtime.clock import utcnow
from store.alerts import Alerts
from store.deliveries import Deliveries
from store.engine import Database
from store.monitors import Conditions, MaintenanceWindows, Monitors

WATCH_EVERY = timedelta(seconds=5)
TELLING_SECONDS, LOOKING_SECONDS = 20.0, 20.0  # of one sweep; the next one goes on
OVERDUE_EVERY = 15.0  # seconds
PURGED_EVERY = 60.0
LATE = timedelta(minutes=2)  # after which a message's workflow is begun anew, should it be gone
KEPT = timedelta(days=30)  # alerts, and messages that have ended
REMEMBERED = timedelta(hours=1)  # that an execution was slow, after its end
AT_ONCE = 16
SOME = 500

log = structlog.get_logger()


async def ensure_watch(client: Client, task_queue: str) -> bool:
    """The Temporal Schedule of the sweep; False: it was there."""
    action = ScheduleActionStartWorkflow(
        WATCH_WORKFLOW, WatchInput(), id=WATCH_SCHEDULE, task_queue=watch_queue(task_queue)
    )
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=WATCH_EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=WATCH_EVERY * 2),
    )
    try:
        await client.create_schedule(WATCH_SCHEDULE, schedule)
    except ScheduleAlreadyRunningError:
        return False
    return True


async def tell_now(client: Client, task_queue: str) -> None:
    """What was announced, without waiting for the next sweep. Who comes while it runs is content with the next one."""
    await client.start_workflow(
        WATCH_WORKFLOW,
        WatchInput(look=False),
        id=f"{WATCH_SCHEDULE}-now",
        task_queue=watch_queue(task_queue),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


class WatchActivities:
    def __init__(self, client: Client, database: Database, outbox: Outbox, alerting: Alerting, task_queue: str) -> None:
        self._client = client
        self._database = database
        self._outbox = outbox
        self._alerting = alerting
        self._dispatcher = Dispatcher(database, alerting)
        self._task_queue = task_queue
        self._overdue_at = 0.0
        self._purged_at = 0.0

    @activity.defn
    async def watch(self, message: WatchInput) -> WatchReport:
        """Safe beside other sweeps: what one has taken the other does not see, what is found is claimed once."""
        report = WatchReport()
        async with heartbeats():
            report.told = await self._tell()
            if message.look:
                report.found = await self._look()
            await self._start(report)
            if message.look:
                await start_forsaken(self._client, self._database, self._task_queue)
            if message.look and self._is_due(self._purged_at, PURGED_EVERY):
                await self.purge()
                self._purged_at = asyncio.get_running_loop().time()
        return report

    async def purge(self) -> None:
        """What is old, and what belongs to things that are gone."""
        before = utcnow() - KEPT
        async with self._database.transaction() as session:
            await Monitors(session).delete(await Monitors(session).orphans(SOME))
        async with self._database.transaction() as session:
            await Deliveries(session).purge(before, SOME)
            await Deliveries(session).delete_of_alerts(await Alerts(session).purge(before, SOME))
            await Conditions(session).purge_slow(utcnow() - REMEMBERED)
            await MaintenanceWindows(session).purge(before)

    async def _tell(self) -> int:
        deadline = asyncio.get_running_loop().time() + TELLING_SECONDS
        told = 0
        while taken := await self._dispatcher.dispatch():
            told += taken
            if taken < BATCH or asyncio.get_running_loop().time() > deadline:
                break
        return told

    async def _look(self) -> int:
        await self._outbox.refresh()
        overdue = self._is_due(self._overdue_at, OVERDUE_EVERY)
        if overdue:
            self._overdue_at = asyncio.get_running_loop().time()
        look = ConditionLook(self._database, self._alerting, self._outbox.looked_for, LOOKING_SECONDS)
        return await look.look(overdue=overdue)

    async def _start(self, report: WatchReport) -> None:
        async with self._database.snapshot() as session:
            rows = await Deliveries(session).to_start(utcnow(), utcnow() - LATE, SOME)
        started = await self._started([row.id for row in rows], report)
        if started:
            async with self._database.transaction() as session:
                await Deliveries(session).mark_handed_over(started, utcnow())
        report.started = len(started)

    async def _started(self, delivery_ids: Sequence[str], report: WatchReport) -> list[str]:
        """A few at once. One that fails does not hold up the others; the next sweep sees it again."""
        gate, started = asyncio.Semaphore(AT_ONCE), []

        async def start(delivery_id: str) -> None:
            async with gate:
                try:
                    await start_delivery(self._client, self._task_queue, delivery_id)
                    started.append(delivery_id)
                except Exception as error:
                    report.failed += 1
                    log.warning("delivery_not_started", error=type(error).__name__, detail=str(error)[:500])

        await asyncio.gather(*(start(each) for each in delivery_ids))
        return started

    def _is_due(self, at: float, every: float) -> bool:
        return at == 0.0 or asyncio.get_running_loop().time() - at >= every
