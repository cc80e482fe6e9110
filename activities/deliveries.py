"""One attempt to bring a message to its target, and what it has come to. The message keeps its id, however often."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.errors import translate
from activities.heartbeats import heartbeats
from activities.outbox import note
from activities.targets import Credentials, TargetSecrets
from components.http_headers import joined, retry_after
from domain.errors import FlowgraftError, StepFailed
from domain.http import HttpSender, OutgoingRequest
from domain.messages import DELIVER_WORKFLOW, watch_queue
from domain.notifications import GIVEN_UP_AFTER, DeliveryState, TargetKind, pause
from domain.signatures import standard_headers
from domain.sweeps import Delivered, DeliverInput
from domain.text import clean_text, truncate
from runtime.clock import utcnow
from runtime.ids import new_id
from runtime.smtp import Email, Mailer
from store.deliveries import Deliveries
from store.engine import Database
from store.tables import DeliveryAttemptRow, DeliveryRow, EventRow, TargetRow
from store.targets import EventEndpoints, Targets

TIMEOUT = 15.0  # seconds, for an answer
LARGEST_ANSWER = 64 * 1024  # of which nobody reads anything
LONGEST_ERROR = 1000
GONE = 410
SYSTEM = "flowgraft"


@dataclass(frozen=True)
class Outcome:
    """`error` None: it has arrived."""

    error: str | None = None
    status_code: int | None = None
    retry_after: float | None = None
    final: bool = False


class DeliveryActivities:
    def __init__(self, database: Database, secrets: TargetSecrets, http: HttpSender, mailer: Mailer) -> None:
        self._database = database
        self._secrets = secrets
        self._http = http
        self._mailer = mailer

    @activity.defn
    async def deliver(self, message: DeliverInput) -> Delivered:
        """Attempts it if it is due. Repeated, it sends again what was sent and not recorded, under the same id."""
        try:
            async with heartbeats():
                return await self._deliver(message.delivery_id)
        except FlowgraftError as error:
            raise translate(error) from error

    async def _deliver(self, delivery_id: str) -> Delivered:
        async with self._database.snapshot() as session:
            row = await Deliveries(session).get(delivery_id)
            if row is None or row.state != DeliveryState.PENDING:
                return Delivered()
            target = await Targets(session).get(row.target_id)
            credentials = await self._secrets.read(session, target) if target else None
        began = utcnow()
        if row.due_at > began:
            return Delivered((row.due_at - began).total_seconds())
        if target is None or (target.disabled_at is not None and not row.is_test):
            return await self._cancel(row, "removed" if target is None else "disabled")
        outcome = await self._send(row, credentials)
        return await self._record(row, outcome, began)

    async def _send(self, row: DeliveryRow, credentials: Credentials | None) -> Outcome:
        try:
            if row.kind == TargetKind.EMAIL:
                await self._mailer.send(Email(row.address, row.subject, row.body, row.id))
                return Outcome()
            return await self._post(row, credentials)
        except StepFailed as error:
            return Outcome(truncate(clean_text(f"{error.code}: {error.message}"), LONGEST_ERROR), final=error.permanent)

    async def _post(self, row: DeliveryRow, credentials: Credentials | None) -> Outcome:
        now, body = utcnow(), row.body.encode()
        given = credentials.headers if credentials else {}
        signed = standard_headers(credentials.secrets(now), row.id, now, body) if credentials else []
        usual = [("Content-Type", row.content_type), *signed]
        headers = [pair for pair in usual if pair[0].lower() not in {name.lower() for name in given}]
        answer = await self._http.send(
            OutgoingRequest(
                method="POST",
                url=row.address,
                headers=[*headers, *given.items()],
                body=body,
                timeout=TIMEOUT,
                follow_redirects=False,
                max_bytes=LARGEST_ANSWER,
            )
        )
        if 200 <= answer.status < 300:
            return Outcome(status_code=answer.status)
        wait = retry_after(joined(answer.headers).get("retry-after", ""), now)
        gone = answer.status == GONE
        return Outcome(f"the target answered {answer.status}", answer.status, wait, final=gone)

    async def _record(self, seen: DeliveryRow, outcome: Outcome, began: datetime) -> Delivered:
        """Unless somebody else has: then theirs counts."""
        now = utcnow()
        async with self._database.transaction() as session:
            row = await Deliveries(session).get(seen.id, for_update=True)
            if row is None or row.state != DeliveryState.PENDING or row.attempts != seen.attempts:
                return Delivered(None if row is None or row.state != DeliveryState.PENDING else 1.0)
            row.attempts += 1
            row.status_code, row.error, row.updated_at = outcome.status_code, outcome.error, now
            Deliveries(session).add_attempt(_attempt(row, outcome, began, now))
            if outcome.error is None:
                row.state, row.ended_at, row.failed_in_a_row = DeliveryState.SUCCEEDED, now, 0
                await Targets(session).note_success(row.target_id)
                return Delivered()
            wait = await self._note_failure(session, row, outcome, now)
        return Delivered(wait.total_seconds() if wait else None)

    async def _note_failure(
        self, session: AsyncSession, row: DeliveryRow, outcome: Outcome, now: datetime
    ) -> timedelta | None:
        """How long to wait for the next attempt, if there is one."""
        row.failed_in_a_row += 1
        wait = None if outcome.final else pause(row.failed_in_a_row, outcome.retry_after, random.uniform(-1, 1))
        if wait is None:
            row.state, row.ended_at = DeliveryState.FAILED, now
        else:
            row.due_at = now + wait
        await Targets(session).note_failure(row.target_id, now)
        target = await Targets(session).get(row.target_id, for_update=True)
        if target is not None and target.disabled_at is None:
            reason = _reason_to_disable(target, outcome, now)
            if reason is not None:
                await disable(session, target, reason, now)
        return wait

    async def _cancel(self, seen: DeliveryRow, why: str) -> Delivered:
        async with self._database.transaction() as session:
            row = await Deliveries(session).get(seen.id, for_update=True)
            if row is not None and row.state == DeliveryState.PENDING:
                row.state, row.ended_at, row.error = DeliveryState.CANCELED, utcnow(), f"the target was {why}"
        return Delivered()


async def disable(session: AsyncSession, target: TargetRow, reason: str, now: datetime) -> None:
    """Nothing more is sent there until somebody enables it again."""
    target.disabled_at, target.disabled_reason, target.updated_at = now, reason, now
    endpoint = await EventEndpoints(session).get(target.owner_id, for_update=True)
    if endpoint is not None:
        endpoint.enabled, endpoint.updated_at = False, now
    note(
        session,
        EventRow(
            id=new_id("evt"),
            at=now,
            principal=SYSTEM,
            action=f"{target.owner_kind}.target_disabled",
            object_id=target.owner_id,
            details={"target_id": target.id, "reason": reason},
        ),
    )


async def start_delivery(client: Client, task_queue: str, delivery_id: str) -> None:
    """Its id is the workflow's, one at a time. Begun already is a success."""
    try:
        await client.start_workflow(
            DELIVER_WORKFLOW,
            DeliverInput(delivery_id),
            id=delivery_id,
            task_queue=watch_queue(task_queue),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            priority=Priority(priority_key=4),  # behind the sweeps
        )
    except WorkflowAlreadyStartedError:
        return


def _reason_to_disable(target: TargetRow, outcome: Outcome, now: datetime) -> str | None:
    if outcome.status_code == GONE:
        return "gone"
    failing = target.failing_since is not None and now - target.failing_since >= GIVEN_UP_AFTER
    return "failing" if failing else None


def _attempt(row: DeliveryRow, outcome: Outcome, began: datetime, now: datetime) -> DeliveryAttemptRow:
    return DeliveryAttemptRow(
        delivery_id=row.id,
        number=row.attempts,
        at=began,
        seconds=round((now - began).total_seconds(), 3),
        status_code=outcome.status_code,
        error=outcome.error,
    )
