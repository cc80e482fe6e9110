"""Open and close an attempt in the ledger: local activities, one transaction each, safe to repeat."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bind_contextvars
from temporalio import activity

from activities.callbacks import callbacks_of
from activities.deployments import Deployment, Deployments
from activities.endpoints import common, url_of
from activities.errors import translate
from activities.handover import Starter
from activities.keeping import Keeping
from activities.metering import FlowNames, Tally
from activities.outbox import announce_execution, announce_lines
from activities.outcomes import note_failure
from activities.pace import Pace
from activities.parking import park
from activities.payloads import Payloads
from activities.polling import cursor_of
from activities.queues import slot_free
from activities.records import Log, error_json, log_lines, owner_of, write_control_records
from components.base import Registry
from domain.definitions.model import Flow, PollTrigger
from domain.errors import FlowgraftError
from domain.executions import TERMINAL, RetryRule, Status, edition_of, retry_rule
from domain.messages import ActionHint, Callbacks, CloseInput, Opened, OpenInput
from domain.queues import QUEUED_BEHIND, QueueRule, waits_for
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.engine import Database
from store.executions import Acceptance, Executions, Moved, Opening
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.lineage import Lineage
from store.logs import Logs
from store.parking import Parking
from store.queues import QueueOf
from store.retries import Retries, superseded_values
from store.steps import Steps
from store.tables import CustomerRow, ExecutionRow, InstanceFlowRow, InstanceRow

CHECK_INTERVAL = timedelta(seconds=20)  # how soon upkeep compares an open execution with Temporal

log = structlog.get_logger()


class ExecutionActivities:
    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        registry: Registry,
        deployments: Deployments,
        payloads: Payloads,
        public_url: str,
        pace: Pace,
        starter: Starter | None = None,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._catalog = registry.catalog()
        self._deployments = deployments
        self._payloads = payloads
        self._public_url = public_url
        self._pace = pace
        self._starter = starter  # of queues: none where no Temporal is
        self._names = FlowNames()
        self._keeping = Keeping()

    @activity.defn
    async def open_execution(self, message: OpenInput) -> Opened:
        """Begin an attempt. `proceed` false: it is terminal already, skipped, or its instance is gone."""
        tally = Tally()
        try:
            async with self._database.transaction() as session:
                opened = await self._open(session, message, tally)
        except FlowgraftError as error:
            raise translate(error) from error
        tally.count()
        if opened.parked:
            await self._slot_free(QueueOf(opened.instance_flow_id, opened.instance["id"], opened.customer["id"]))
        return opened

    @activity.defn
    async def close_execution(self, message: CloseInput) -> None:
        """An upsert that stands alone: it does not need `open_execution`. A terminal state is never overwritten."""
        tally = Tally()
        try:
            async with self._database.transaction() as session:
                row = await self._close(session, message, tally)
        except FlowgraftError as error:
            raise translate(error) from error
        tally.count()
        if row is not None and row.queue_key is not None:
            await self._slot_free(QueueOf(row.instance_flow_id, row.instance_id, row.customer_id))
        if row is not None and row.is_awaited and message.status in TERMINAL:
            await self._tell_caller(row)

    async def _open(self, session: AsyncSession, message: OpenInput, tally: Tally) -> Opened:
        executions = Executions(session)
        row = await executions.opening(message.execution_id)
        if row is None and message.nominal_at and await self._accept_scheduled(session, message, tally):
            row = await executions.opening(message.execution_id)
        if row is None or row.status in TERMINAL or edition_of(row.retry) > message.edition:
            return Opened(proceed=False)
        if row.queue_key is not None and (row.status == Status.RETRYING or row.handed_over_at is None):
            return await self._park(executions, row, message)
        deployment = await self._deployments.get(row.deployment_id, session)
        bind_contextvars(customer_id=row.customer_id, instance_id=row.instance_id)
        keys = await self._names.of(session, row.instance_flow_id)
        key = keys.flow
        if row.started_at is None:
            tally.started(keys, row.trigger)
            announce_execution(session, row, Status.RUNNING)
        await executions.change(row.id, _running(row, message))
        return Opened(
            proceed=True,
            flow=deployment.flows[key],
            config=deployment.config,
            customer={"id": row.customer_id, "external_id": row.customer_external_id, "name": row.customer_name},
            instance={"id": row.instance_id, "name": row.instance_name},
            flows=await self._flow_urls(session, row.instance_id) if key in deployment.asking_urls else {},
            actions=self._hints(deployment.definition.flow(key)),
            trigger=await self._payloads.trigger(session, row) if message.with_trigger else None,
            deployment_id=deployment.id,
            resume_from=row.resume_from,
            local_first=self._local_first(deployment, key),
            instance_flow_id=row.instance_flow_id,
            polls=row.payload_id is None and isinstance(deployment.definition.flow(key).trigger, PollTrigger),
            cursor=await self._cursor(session, row, deployment.definition.flow(key)),
            callbacks=self._callbacks(row, message, deployment.definition.flow(key)),
            waits=not row.is_test and deployment.definition.flow(key).waits_for_connections,
        )

    async def _cursor(self, session: AsyncSession, row: Opening, flow: Flow) -> Any:
        if not isinstance(flow.trigger, PollTrigger):
            return None
        return await cursor_of(session, self._keyring, row.instance_flow_id, row.instance_id)

    def _callbacks(self, row: Opening, message: OpenInput, flow: Flow) -> Callbacks | None:
        if not any(step.wait for step in flow.all_steps()):
            return None
        return callbacks_of(self._keyring, self._public_url, row.id, message.attempt)

    async def _park(self, executions: Executions, row: Opening, message: OpenInput) -> Opened:
        """It needs a slot. If its retry is due it has given its slot away meanwhile, and waits again, at the place that
        it always had."""
        now = utcnow()
        values = {
            "status": Status.QUEUED,
            "reason": (row.reason if row.status == Status.QUEUED else None) or QUEUED_BEHIND,
            "handed_over_at": None,
            "next_attempt_at": None,
            "check_after": now + CHECK_INTERVAL,
            "workflow_id": message.workflow_id,
            "run_id": message.run_id,
            "updated_at": now,
        }
        await executions.change(row.id, values)
        return Opened(
            proceed=True,
            customer={"id": row.customer_id},
            instance={"id": row.instance_id},
            instance_flow_id=row.instance_flow_id,
            parked=True,
        )

    async def _slot_free(self, queue: QueueOf) -> None:
        if self._starter is not None:
            await slot_free(self._database, self._starter, queue)

    async def _tell_caller(self, row: Moved) -> None:
        async with self._database.snapshot() as session:
            caller = await Executions(session).workflow_of(row.invoked_by or "")
        if self._starter is None or caller is None:
            return
        try:
            await self._starter.tell_caller(caller, row.id)
        except Exception as error:
            log.warning("caller_not_told", error=type(error).__name__, detail=str(error)[:500])  # it looks by itself

    async def _flow_urls(self, session: AsyncSession, instance_id: str) -> dict[str, Any]:
        instance = await session.get_one(InstanceRow, instance_id)
        flows = await InstanceFlows(session).of_instance(instance.id)
        shared = (await common(session, [instance])).get(instance.id)
        return {flow.key: {"webhook_url": url_of(self._public_url, shared or flow)} for flow in flows}

    async def _accept_scheduled(self, session: AsyncSession, message: OpenInput, tally: Tally) -> ExecutionRow | None:
        """A schedule's fire, recorded as it opens. A fire that finds another one under way is skipped, visibly."""
        flow = await InstanceFlows(session).get(message.instance_flow_id)
        instance = await Instances(session).get(flow.instance_id, for_update=True) if flow else None
        if flow is None or instance is None or instance.deleting or not instance.deployment_id or not flow.active:
            return None
        deployment = await self._deployments.get(instance.deployment_id, session)
        executions = Executions(session)
        skipped = await self._skip_reason(executions, instance, deployment.definition.flow(flow.key), flow.id)
        row = _scheduled_row(
            message, flow, instance, deployment, retry_rule(deployment.definition.flow(flow.key).retry)
        )
        await self._limit(session, row)
        if skipped:
            row.status, row.reason, row.ended_at = Status.SKIPPED, skipped, row.queued_at
            row.check_after = None
        await executions.accept(Acceptance(row))
        keys = await self._names.of(session, flow.id)
        tally.fired(keys, datetime.fromisoformat(str(message.nominal_at)))
        if skipped:
            announce_execution(session, row, Status.SKIPPED)
            tally.finished(keys, row, row.status)
        return row

    async def _limit(self, session: AsyncSession, row: ExecutionRow) -> None:
        """One of a customer that has a limit waits for its slot like any other."""
        customer = await session.get_one(CustomerRow, row.customer_id)
        row.reason = waits_for(QueueRule(), customer.max_running, row.trigger, awaited=False)
        if row.reason is not None:
            row.queue_key, row.handed_over_at = "", None

    async def _skip_reason(
        self, executions: Executions, instance: InstanceRow, flow: Flow, instance_flow_id: str
    ) -> str | None:
        if instance.suspended_at is not None:
            return "suspended"
        if not instance.enabled:
            return "paused"
        overlap_skips = getattr(flow.trigger, "overlap", "skip") == "skip"
        return "overlap" if overlap_skips and await executions.has_open(instance_flow_id, except_id="") else None

    def _local_first(self, deployment: Deployment, flow_key: str) -> list[str]:
        """Steps that touch the world and are expected to be short, by how long they took in this process."""
        steps = deployment.definition.flow(flow_key).all_steps()
        return [step.key for step in steps if self._pace.is_short((deployment.id, flow_key, step.key))]

    def _hints(self, flow: Flow) -> dict[str, ActionHint]:
        used = {step.action for step in flow.all_steps() if step.action in self._catalog}
        return {
            key: ActionHint(local=spec.local, lazy=sorted(spec.lazy))
            for key, spec in self._catalog.items()
            if key in used
        }

    async def _close(self, session: AsyncSession, message: CloseInput, tally: Tally) -> Moved | None:
        """None: it had ended already, or its retry was changed and another workflow goes on with it."""
        row = await Executions(session).move(
            message.execution_id, message.attempt, self._closing_values(message, utcnow()), message.edition
        )
        if row is None:
            return None
        bind_contextvars(customer_id=row.customer_id, instance_id=row.instance_id)
        await write_control_records(Steps(session), self._keyring, row.id, message.attempt, message.records)
        lines = _closing_lines(message)
        await self._keeping.sift(session, row.instance_id, lines)
        await Logs(session).add_many(log_lines(owner_of(row), message.attempt, _failed_step(message), lines))
        announce_lines(session, owner_of(row), _failed_step(message), lines)
        status = await self._settled(session, row, Status(message.status))
        announce_execution(session, row, status, message)
        if status in TERMINAL:
            failed = status == Status.FAILED
            if status != Status.SKIPPED:  # a poll without anything new says nothing of what failed before
                await InstanceFlows(session).note_ended(row, failed=failed, at=utcnow())
            if failed:
                await note_failure(session, row, message.failure.code if message.failure else "failed", utcnow())
                await park(session, row, utcnow())
            if row.root_id is not None and status == Status.SUCCEEDED:
                await Lineage(session).note_success(row.root_id, row.id, utcnow())
                await Parking(session).note_success(row.instance_flow_id, row.root_id, utcnow())
            tally.finished(await self._names.of(session, row.instance_flow_id), row, status)
            if status == Status.SUCCEEDED:
                await self._keeping.end_well(session, row, message.attempt, utcnow())
            else:
                await self._keeping.end(session, row.instance_id, row.id, utcnow())
        return row

    async def _settled(self, session: AsyncSession, row: Moved, status: Status) -> Status:
        """A failed attempt is not repeated once a newer delivery about the same thing has come in."""
        if status != Status.RETRYING or row.unique_key is None:
            return status
        newer = await Retries(session).newer(row.instance_flow_id, row.unique_key, row.id)
        if newer is None:
            return status
        await Executions(session).change(row.id, superseded_values(newer, utcnow()))
        return Status.CANCELED

    def _closing_values(self, message: CloseInput, now: datetime) -> dict[str, Any]:
        ended = message.status in TERMINAL
        canceled = message.status == Status.CANCELED  # why it was waiting for a retry stays to be seen
        error = {} if canceled else {"error": error_json(message.failure)}
        return error | {
            "status": message.status,
            "attempt": message.attempt,
            "reason": message.reason,
            "waiting_connection_id": None,
            "next_attempt_at": datetime.fromisoformat(message.next_attempt_at) if message.next_attempt_at else None,
            "ended_at": now if ended else None,
            "check_after": None if ended else now + CHECK_INTERVAL,
            "workflow_id": message.workflow_id,
            "run_id": message.run_id,
            "updated_at": now,
        }


def _running(row: Opening, message: OpenInput) -> dict[str, Any]:
    now = utcnow()
    return {
        "status": Status.RUNNING,
        "attempt": message.attempt,
        "max_attempts": message.max_attempts,
        "next_attempt_at": None,
        "started_at": row.started_at or now,
        "handed_over_at": row.handed_over_at or now,
        "check_after": now + CHECK_INTERVAL,
        "workflow_id": message.workflow_id,
        "run_id": message.run_id,
        "updated_at": now,
    }


def _scheduled_row(
    message: OpenInput, flow: InstanceFlowRow, instance: InstanceRow, deployment: Deployment, rule: RetryRule
) -> ExecutionRow:
    now = utcnow()
    return ExecutionRow(
        id=message.execution_id,
        instance_flow_id=message.instance_flow_id,
        instance_id=instance.id,
        customer_id=instance.customer_id,
        integration_id=instance.integration_id,
        version_id=deployment.version_id,
        deployment_id=deployment.id,
        status=Status.QUEUED,
        trigger=flow.trigger,
        max_attempts=message.max_attempts,
        retry=asdict(rule),
        queued_at=now,
        tags={},
        workflow_id=message.workflow_id,
        run_id=message.run_id,
        handed_over_at=now,
        check_after=now + CHECK_INTERVAL,
        created_at=now,
        updated_at=now,
    )


def _failed_step(message: CloseInput) -> str | None:
    return message.failure.step if message.failure else None


def _closing_lines(message: CloseInput) -> Log:
    """What the customer-facing log says of an attempt's end; a success needs no words."""
    log = Log()
    if message.failure is None:
        return log
    where = f" at step {message.failure.step}" if message.failure.step else ""
    told = f"{message.failure.code}: {message.failure.message}"
    if message.status == Status.RETRYING:
        next_at = (message.next_attempt_at or "").replace("+00:00", "Z")
        attempt = f"Attempt {message.attempt} of {message.max_attempts}"
        log("warn", f"{attempt} failed{where}, next one at {next_at}: {told}")
    else:
        log("error", f"Execution failed{where}: {told}")
    return log
