"""Sending log lines on, batch after batch: what the ledger says is sent has been taken by the target, at least once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.service import RPCError

from activities.errors import translate
from activities.heartbeats import heartbeats
from activities.vault import Vault
from components.http_headers import joined, retry_after
from domain.errors import FlowgraftError, StepFailed
from domain.http import HttpSender, IncomingResponse, OutgoingRequest
from domain.log_streams import REFUSALS, TRIES_ALONE, BatchFormat, Body, Line, Template, body_of, delay_after
from domain.messages import LOG_STREAM_SIGNAL, LOG_STREAM_WORKFLOW, LogStreamInput, LogStreamLook, watch_queue
from domain.text import clean_text, truncate
from domain.values import mask
from runtime.clock import utcnow
from store.engine import Database
from store.log_streams import LogStreams
from store.logs import Logs
from store.tables import LogStreamRow

LOOK_SECONDS = 40.0  # of one activity
IDLE_SECONDS = 1.0  # between two looks when there is nothing to send
SEND_SECONDS = 15.0
LONGEST_WAIT = timedelta(hours=1)  # that a target may ask for
UNSEEN = timedelta(minutes=2)  # after which somebody else finds out why nobody looks
LONGEST_ANSWER = 200  # characters of it that are shown
MOST_STREAMS = 50

log = structlog.get_logger()


@dataclass(frozen=True)
class Target:
    """Where a stream goes, and in which form."""

    url: str
    headers: Mapping[str, str]
    template: Template
    batch_format: BatchFormat


@dataclass(frozen=True)
class Sent:
    """`failure` null: the target has taken the lines."""

    lines: int
    failure: dict[str, Any] | None = None  # {at, code, message}
    status: int | None = None
    retry_after: float | None = None

    @property
    def is_refused(self) -> bool:
        return self.status in REFUSALS


@dataclass
class Progress:
    """Where an activity is: in the ledger, in what it has read, and how many lines it dares to send at once."""

    held: str
    read: str
    at_once: int


class LogStreamActivities:
    def __init__(self, database: Database, vault: Vault, http: HttpSender, look_seconds: float = LOOK_SECONDS) -> None:
        self._database = database
        self._vault = vault
        self._http = http
        self._look_seconds = look_seconds

    @activity.defn
    async def send_log_lines(self, message: LogStreamInput) -> LogStreamLook:
        """Sends what there is and waits a while for more; a failure ends it, with the time until the next try."""
        try:
            async with heartbeats():
                return await self._send(message.stream_id)
        except FlowgraftError as error:
            raise translate(error) from error

    async def _send(self, stream_id: str) -> LogStreamLook:
        deadline = asyncio.get_running_loop().time() + self._look_seconds
        progress = Progress("", "", 0)
        while True:
            row = await self._row(stream_id)
            if row is None or not row.enabled:
                return LogStreamLook(over=True)
            if progress.held != row.cursor:
                progress = Progress(row.cursor, row.cursor, row.batch_size)
            look = await self._send_some(row, progress)
            if look is not None:
                return look
            if activity.is_worker_shutdown() or asyncio.get_running_loop().time() > deadline:
                now = utcnow()
                # What was read and is not wanted needs no second reading.
                await self._move(row, progress, progress.read, {"looked_at": now, "check_after": now + UNSEEN})
                return LogStreamLook()

    async def _row(self, stream_id: str) -> LogStreamRow | None:
        async with self._database.glance() as session:
            return await LogStreams(session).get(stream_id)

    async def _send_some(self, row: LogStreamRow, progress: Progress) -> LogStreamLook | None:
        limit = min(progress.at_once, row.batch_size)
        async with self._database.glance() as session:
            settled = await Logs(session).settled(utcnow())
        async with self._database.snapshot() as session:
            target = await target_of(session, self._vault, row)
            lines = await LogStreams(session).lines(row, progress.read, settled, limit)
        if not lines:
            progress.read = max(progress.read, settled)
            await asyncio.sleep(IDLE_SECONDS)
            return None
        sent = await send(self._http, target, lines)
        if sent.failure is None:
            progress.at_once = min(limit * 2, row.batch_size)
            await self._move(row, progress, lines[sent.lines - 1].id, _delivered(sent.lines))
            return None
        if sent.is_refused and sent.lines > 1:
            progress.at_once = sent.lines // 2
            return None
        return await self._failed(row, progress, lines[0], sent)

    async def _failed(self, row: LogStreamRow, progress: Progress, first: Line, sent: Sent) -> LogStreamLook | None:
        """A line that is refused by itself, again and again, is left out: the others must not wait for ever."""
        failures, now = row.failures + 1, utcnow()
        values: dict[str, Any] = {"failing_since": row.failing_since or now, "error": sent.failure}
        if sent.is_refused and failures >= TRIES_ALONE:
            await self._move(row, progress, first.id, values | {"failures": 0, "refused": LogStreamRow.refused + 1})
            return None
        asked = min(timedelta(seconds=sent.retry_after or 0.0), LONGEST_WAIT)
        delay = max(delay_after(failures), asked)
        values |= {"failures": failures, "looked_at": now, "check_after": now + delay + UNSEEN}
        await self._move(row, progress, progress.held, values)
        return LogStreamLook(again_in_seconds=delay.total_seconds())

    async def _move(self, row: LogStreamRow, progress: Progress, cursor: str, values: dict[str, Any]) -> None:
        """Unless somebody else has: then that one's cursor is read at the next look."""
        async with self._database.transaction() as session:
            await LogStreams(session).move(row.id, progress.held, cursor=cursor, **values)
        progress.held, progress.read = cursor, max(cursor, progress.read)


async def target_of(session: AsyncSession, vault: Vault, row: LogStreamRow) -> Target:
    headers = await vault.decrypt_json(session, row.headers, headers_place(row.id)) if row.headers else {}
    return Target(row.url, headers, Template(row.template), BatchFormat(row.batch_format))


def headers_place(stream_id: str) -> str:
    """The associated data of the encrypted column."""
    return f"log_streams/{stream_id}/headers"


async def send(http: HttpSender, target: Target, lines: Sequence[Line]) -> Sent:
    """As many of the lines as fit into one request."""
    body = body_of(target.template, lines, target.batch_format)
    try:
        response = await http.send(_request(target, body))
    except StepFailed as error:
        return Sent(body.lines, _failure(target, error.code, error.message))
    if 200 <= response.status < 300:
        return Sent(body.lines, status=response.status)
    failure = _failure(target, f"http_{response.status}", _said(response))
    wait = retry_after(joined(response.headers).get("retry-after", ""), utcnow())
    return Sent(body.lines, failure, response.status, wait)


async def start_log_stream(client: Client, task_queue: str, stream_id: str, *, wake: bool) -> None:
    """One workflow at a time for each stream. `wake`: what waits for its next try looks at once."""
    await client.start_workflow(
        LOG_STREAM_WORKFLOW,
        LogStreamInput(stream_id),
        id=f"log-stream-{stream_id}",
        task_queue=watch_queue(task_queue),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=LOG_STREAM_SIGNAL if wake else None,
        priority=Priority(priority_key=4),  # behind the sweeps
        static_summary=f"log stream {stream_id}",
    )


async def start_forsaken(client: Client, database: Database, task_queue: str) -> None:
    """Streams that nobody looks at any more, or that nobody could start when they were made."""
    async with database.snapshot() as session:
        forsaken = await LogStreams(session).forsaken(utcnow(), MOST_STREAMS)
    for stream_id in forsaken:
        try:
            await start_log_stream(client, task_queue, stream_id, wake=False)
        except RPCError as error:
            log.warning("log_stream_not_started", error=type(error).__name__, detail=str(error)[:500])
            return


def _request(target: Target, body: Body) -> OutgoingRequest:
    own = {name.lower() for name in target.headers}
    usual = [] if "content-type" in own else [("Content-Type", body.content_type)]
    return OutgoingRequest(
        "POST",
        target.url,
        [*usual, *target.headers.items()],
        body.content,
        timeout=SEND_SECONDS,
        follow_redirects=False,
        secret_headers=frozenset(own),
    )


def _said(response: IncomingResponse) -> str:
    text = clean_text(response.body[: 4 * LONGEST_ANSWER].decode("utf-8", "replace")).strip()
    return f"The target answered {response.status}" + (f": {truncate(text, LONGEST_ANSWER)}" if text else "")


def _failure(target: Target, code: str, message: str) -> dict[str, Any]:
    """What a target says may be an echo of what it was sent."""
    shown = mask(message, list(target.headers.values()))
    return {"at": utcnow().isoformat(), "code": code, "message": truncate(str(shown), 500)}


def _delivered(count: int) -> dict[str, Any]:
    now = utcnow()
    return {
        "delivered": LogStreamRow.delivered + count,
        "delivered_at": now,
        "looked_at": now,
        "check_after": now + UNSEEN,
        "failures": 0,
        "failing_since": None,
    }
