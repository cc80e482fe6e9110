"""Telling whoever listens: a fact is written in the transaction of its cause, and only when somebody wants to hear it.

`announce` is for everybody; what it writes becomes alerts and events in `activities/alerting.py`.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from activities.records import Log, Owner
from domain.executions import Status
from domain.logs import SEVERITIES
from domain.messages import CloseInput, Failure
from domain.monitors import LINES, LOOKED_FOR, Listeners, Place, Watch, is_event, read_trigger
from domain.text import truncate
from runtime.clock import utcnow
from runtime.ids import new_id
from store.alerts import Subjects
from store.engine import Database
from store.events import Events
from store.executions import Moved, Opening
from store.monitors import Monitors
from store.outbox import OutboxFacts
from store.tables import EventRow, ExecutionRow, MonitorRow, OutboxRow
from store.targets import EventEndpoints

INFO = "outbox"
REFRESHED_EVERY = 2.0  # seconds: how long a new monitor may be unknown to a process
GATHERED = 0.25  # seconds: until what was announced is committed, and more of it has come
LONGEST_MESSAGE = 1000
REMOVED = "instance.deleted"
MOVES = {
    Status.RUNNING: "execution.started",
    Status.RETRYING: "execution.retry_pending",
    Status.SUCCEEDED: "execution.succeeded",
    Status.FAILED: "execution.failed",
    Status.CANCELED: "execution.canceled",
    Status.SKIPPED: "execution.skipped",
}
TOLD_OTHERWISE = (REMOVED, "execution.canceled")  # with names; when it is so, not when it is asked for

log = structlog.get_logger()


class Outbox:
    """What one process knows of the listeners. They are known in time while it is `kept`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state: tuple[Any, ...] = ()
        self._refreshed = 0.0
        self.listeners = Listeners()
        self.looked_for: list[Watch] = []  # by sweeps, not by facts alone
        self.fresh = asyncio.Event()  # something has been announced

    async def open(self) -> None:
        """From now on transactions of this database announce."""
        await self.refresh()
        self._database.info[INFO] = self

    @asynccontextmanager
    async def kept(self, nudge: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
        """`nudge` gets what was announced on its way; a sweep would do it some seconds later."""
        keeping = asyncio.create_task(self._keep(nudge))
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def refresh(self) -> None:
        self._refreshed = time.monotonic()
        async with self._database.snapshot() as session:
            state = await Monitors(session).state()
            if state == self._state:
                return
            monitors = await Monitors(session).enabled()
            endpoints = await EventEndpoints(session).enabled()
        watches = [watch for row in monitors for watch in watches_of(row)]
        patterns = [pattern for endpoint in endpoints for pattern in endpoint.events]
        self.looked_for = [watch for watch in watches if watch.trigger.type in LOOKED_FOR]
        self.listeners, self._state = Listeners(watches, patterns), state

    async def _keep(self, nudge: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await self._once(nudge)
            except Exception as error:
                log.warning("outbox_not_kept", error=type(error).__name__, detail=str(error)[:500])
                await asyncio.sleep(REFRESHED_EVERY)

    async def _once(self, nudge: Callable[[], Awaitable[object]]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESHED_EVERY):
                await self.fresh.wait()
        if self.fresh.is_set():
            await asyncio.sleep(GATHERED)
            self.fresh.clear()
            await nudge()
        if time.monotonic() - self._refreshed >= REFRESHED_EVERY / 2:
            await self.refresh()


def watches_of(row: MonitorRow) -> list[Watch]:
    return [Watch(row.id, read_trigger(shown), place_of(row), row.armed_at) for shown in row.triggers]


def place_of(row: MonitorRow) -> Place:
    return Place(row.customer_id, row.integration_id, row.instance_id, row.flow_id)


def announce(
    session: AsyncSession,
    kind: str,
    place: Place,
    *,
    execution_id: str | None = None,
    object_id: str | None = None,
    principal: str | None = None,
    details: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> None:
    """`kind` is an event's type, such as `execution.failed`. Costs next to nothing when nobody listens."""
    outbox: Outbox | None = session.info.get(INFO)
    if outbox is None or not outbox.listeners.want(kind, place):
        return
    fact = {"execution_id": execution_id, "object_id": object_id, "principal": principal, "details": details or {}}
    OutboxFacts(session).add(
        OutboxRow(id=new_id("fact"), kind=kind, at=at or utcnow(), fact={"place": asdict(place), **fact}, tries=0)
    )
    outbox.fresh.set()


def announce_execution(
    session: AsyncSession,
    row: ExecutionRow | Moved | Opening,
    status: Status,
    message: CloseInput | None = None,
    failure: Failure | None = None,
) -> None:
    """What has just become of it; what a message says of its end is told, too."""
    outbox: Outbox | None = session.info.get(INFO)
    place = Place(row.customer_id, None, row.instance_id, row.instance_flow_id)
    if outbox is None or not outbox.listeners.want(MOVES[status], place):
        return
    now = utcnow()
    told = (message.failure if message else None) or failure
    details = {
        "status": status.value,
        "trigger": row.trigger,
        "attempt": message.attempt if message else None,
        "max_attempts": message.max_attempts if message else None,
        "next_attempt_at": message.next_attempt_at if message else None,
        "duration_seconds": round((now - row.started_at).total_seconds(), 3) if row.started_at else None,
        "error": {"code": told.code, "message": told.message, "step": told.step} if told else None,
    }
    known = {name: value for name, value in details.items() if value is not None}
    announce(session, MOVES[status], place, execution_id=row.id, object_id=row.id, details=known, at=now)


def announce_lines(session: AsyncSession, owner: Owner, step: str | None, lines: Log) -> None:
    """Of one step's lines the first of the gravest."""
    outbox: Outbox | None = session.info.get(INFO)
    if outbox is None or not lines.lines:
        return
    gravest = max(SEVERITIES.index(level) for _, level, _ in lines.lines)
    place = Place(owner.customer_id, None, owner.instance_id, owner.instance_flow_id)
    if not outbox.listeners.want_lines(gravest, place):
        return
    at, level, message = next(line for line in lines.lines if line[1] == SEVERITIES[gravest])
    details = {"severity": level, "message": truncate(message, LONGEST_MESSAGE), "step": step}
    announce(session, LINES, place, execution_id=owner.execution_id, details=details, at=at)


async def announce_removals(session: AsyncSession, instance_ids: Sequence[str], principal: str) -> None:
    """With their names, because they may be gone when it is told."""
    outbox: Outbox | None = session.info.get(INFO)
    if outbox is None:
        return
    for instance_id, names in (await Subjects(session).instances(instance_ids)).items():
        place = Place(names["customer"]["id"], names["integration"]["id"], instance_id)
        announce(session, REMOVED, place, object_id=instance_id, principal=principal, details={"names": names})


def note(session: AsyncSession, row: EventRow) -> None:
    """Who did what: written down, and announced to those who listen."""
    Events(session).add(row)
    announce_event(session, row)


def announce_event(session: AsyncSession, row: EventRow) -> None:
    if not is_event(row.action) or row.action in TOLD_OTHERWISE:
        return
    integration_id = row.object_id if row.action.startswith("integration.") else None
    place = Place(row.customer_id, integration_id, row.instance_id)
    announce(
        session,
        row.action,
        place,
        object_id=row.object_id,
        principal=row.principal,
        details=row.details,
        at=row.at,
    )


def waken(session: AsyncSession) -> None:
    """There is something to send that was not announced."""
    outbox: Outbox | None = session.info.get(INFO)
    if outbox is not None:
        outbox.fresh.set()
