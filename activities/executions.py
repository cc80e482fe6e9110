"""Open and close an attempt in the ledger: local activities, one transaction each, safe to repeat."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bind_contextvars
from temporalio import activity

from activities.deployments import Deployment, Deployments, webhook_url
from activities.errors import translate
from activities.metering import FlowNames, Tally
from activities.pace import Pace
from activities.payloads import Payloads
from activities.records import Log, error_json, log_lines, owner_of, write_control_records
from components.base import Registry
from domain.definitions.model import Flow
from domain.errors import FlowgraftError
from domain.executions import TERMINAL, RetryRule, Status, TriggerKind, retry_rule
from domain.messages import ActionHint, CloseInput, Opened, OpenInput
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.engine import Database
from store.executions import Acceptance, Executions
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.logs import Logs
from store.steps import Steps
from store.tables import ExecutionRow, InstanceRow

CHECK_INTERVAL = timedelta(seconds=20)  # how soon upkeep compares an open execution with Temporal


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
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._catalog = registry.catalog()
        self._deployments = deployments
        self._payloads = payloads
        self._public_url = public_url
        self._pace = pace
        self._names = FlowNames()

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
        return opened

    @activity.defn
    async def close_execution(self, message: CloseInput) -> None:
        """An upsert that stands alone: it does not need `open_execution`. A terminal state is never overwritten."""
        tally = Tally()
        try:
            async with self._database.transaction() as session:
                await self._close(session, message, tally)
        except FlowgraftError as error:
            raise translate(error) from error
        tally.count()

    async def _open(self, session: AsyncSession, message: OpenInput, tally: Tally) -> Opened:
        executions = Executions(session)
        found = await executions.opening(message.execution_id)
        if found is None and message.nominal_at and await self._accept_scheduled(session, message, tally):
            found = await executions.opening(message.execution_id)
        if found is None or found[0].status in TERMINAL:
            return Opened(proceed=False)
        row, instance, customer = found
        deployment = await self._deployments.get(row.deployment_id, session)
        bind_contextvars(customer_id=row.customer_id, instance_id=row.instance_id)
        keys = await self._names.of(session, row.instance_flow_id)
        key = keys.flow
        if row.started_at is None:
            tally.started(keys, row.trigger)
        await self._mark_running(session, row, message)
        return Opened(
            proceed=True,
            flow=deployment.flows[key],
            config=deployment.config,
            customer={"id": customer.id, "external_id": customer.external_id, "name": customer.name},
            instance={"id": instance.id, "name": instance.name},
            flows=await self._flow_urls(session, row.instance_id) if key in deployment.asking_urls else {},
            actions=self._hints(deployment.definition.flow(key)),
            trigger=await self._payloads.trigger(session, row) if message.with_trigger else None,
            deployment_id=deployment.id,
            resume_from=row.resume_from,
            local_first=self._local_first(deployment, key),
            instance_flow_id=row.instance_flow_id,
        )

    async def _flow_urls(self, session: AsyncSession, instance_id: str) -> dict[str, Any]:
        flows = await InstanceFlows(session).of_instance(instance_id)
        return {flow.key: {"webhook_url": webhook_url(self._public_url, flow.token)} for flow in flows}

    async def _mark_running(self, session: AsyncSession, row: ExecutionRow, message: OpenInput) -> None:
        now = utcnow()
        row.status = Status.RUNNING
        row.attempt = message.attempt
        row.max_attempts = message.max_attempts
        row.next_attempt_at = None
        row.started_at = row.started_at or now
        row.handed_over_at = row.handed_over_at or now
        row.check_after = now + CHECK_INTERVAL
        row.workflow_id, row.run_id = message.workflow_id, message.run_id
        row.updated_at = now
        await session.flush()

    async def _accept_scheduled(self, session: AsyncSession, message: OpenInput, tally: Tally) -> ExecutionRow | None:
        """A schedule's fire, recorded as it opens. A fire that finds another one under way is skipped, visibly."""
        flow = await InstanceFlows(session).get(message.instance_flow_id)
        instance = await Instances(session).get(flow.instance_id, for_update=True) if flow else None
        if flow is None or instance is None or instance.deleting or not instance.deployment_id or not flow.active:
            return None
        deployment = await self._deployments.get(instance.deployment_id, session)
        executions = Executions(session)
        skipped = await self._skip_reason(executions, instance, deployment.definition.flow(flow.key), flow.id)
        row = _scheduled_row(message, instance, deployment, retry_rule(deployment.definition.flow(flow.key).retry))
        if skipped:
            row.status, row.reason, row.ended_at = Status.SKIPPED, skipped, row.queued_at
            row.check_after = None
        await executions.accept(Acceptance(row))
        keys = await self._names.of(session, flow.id)
        tally.fired(keys, datetime.fromisoformat(str(message.nominal_at)))
        if skipped:
            tally.finished(keys, row, row.status)
        return row

    async def _skip_reason(
        self, executions: Executions, instance: InstanceRow, flow: Flow, instance_flow_id: str
    ) -> str | None:
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

    async def _close(self, session: AsyncSession, message: CloseInput, tally: Tally) -> None:
        row = await Executions(session).move(
            message.execution_id, message.attempt, self._closing_values(message, utcnow())
        )
        if row is None:
            return
        bind_contextvars(customer_id=row.customer_id, instance_id=row.instance_id)
        await write_control_records(Steps(session), self._keyring, row.id, message.attempt, message.records)
        await Logs(session).add_many(
            log_lines(owner_of(row), message.attempt, _failed_step(message), _closing_lines(message))
        )
        if message.status in TERMINAL:
            failed = message.status == Status.FAILED
            await InstanceFlows(session).note_ended(row, failed=failed, at=utcnow())
            tally.finished(await self._names.of(session, row.instance_flow_id), row, message.status)

    def _closing_values(self, message: CloseInput, now: datetime) -> dict[str, Any]:
        ended = message.status in TERMINAL
        canceled = message.status == Status.CANCELED  # why it was waiting for a retry stays to be seen
        error = {} if canceled else {"error": error_json(message.failure)}
        return error | {
            "status": message.status,
            "attempt": message.attempt,
            "reason": message.reason,
            "next_attempt_at": datetime.fromisoformat(message.next_attempt_at) if message.next_attempt_at else None,
            "ended_at": now if ended else None,
            "check_after": None if ended else now + CHECK_INTERVAL,
            "workflow_id": message.workflow_id,
            "run_id": message.run_id,
            "updated_at": now,
        }


def _scheduled_row(message: OpenInput, instance: InstanceRow, deployment: Deployment, rule: RetryRule) -> ExecutionRow:
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
        trigger=TriggerKind.SCHEDULE,
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
