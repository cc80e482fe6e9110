"""Deploying an instance: an immutable deployment and the switch to it, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.acceptance import Request, accept
from activities.configuration import Configuration
from activities.connection_fields import ensure_connected, pin
from activities.deployments import Deployments, secrets_context
from activities.endpoints import common, follow_definition, new_token, url_of
from activities.errors import translate
from activities.handover import Starter, handover_of
from activities.outbox import note
from activities.payloads import EMPTY, Payloads
from activities.schedules import Schedules
from activities.vault import Vault
from activities.versions import move_in_bulk
from domain import config
from domain.definitions.model import Definition, Flow, ScheduleTrigger, Timed
from domain.deliveries import ensure_not_suspended
from domain.durations import parse_duration
from domain.errors import Conflict, FlowgraftError, Invalid, NotFound, Problem
from domain.executions import TriggerKind
from domain.instants import utc_text
from domain.messages import DeployInput, DeployResult
from domain.queues import settings_of
from runtime.clock import utcnow
from runtime.ids import new_id
from store.engine import Database
from store.executions import Executions
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.jobs import Jobs
from store.tables import (
    CustomerRow,
    DeploymentRow,
    EventRow,
    InstanceFlowRow,
    InstanceRow,
    JobRow,
    VersionRow,
)


@dataclass(frozen=True)
class _Deploy:
    """What one deploy works on, read under the instance's lock."""

    instance: InstanceRow
    customer: CustomerRow
    version: VersionRow
    definition: Definition
    values: dict[str, Any]


class DeployActivities:
    def __init__(
        self,
        database: Database,
        vault: Vault,
        deployments: Deployments,
        payloads: Payloads,
        starter: Starter,
        schedules: Schedules,
        public_url: str,
    ) -> None:
        self._database = database
        self._vault = vault
        self._configuration = Configuration(vault)
        self._deployments = deployments
        self._payloads = payloads
        self._starter = starter
        self._schedules = schedules
        self._public_url = public_url

    @activity.defn
    async def switch_deployment(self, message: DeployInput) -> DeployResult:
        """Write the deployment, bring the flows in line, accept deploy-trigger executions. Repeated: the same answer.

        Raises Invalid `config_invalid`, NotFound, Conflict while the instance is being deleted.
        """
        try:
            async with self._database.transaction() as session:
                await Jobs(session).ensure(deploy_job(message, utcnow()))
            async with self._database.transaction() as session:
                return await self._switch(session, message)
        except FlowgraftError as error:
            raise translate(error) from error

    @activity.defn
    async def apply_schedules(self, instance_id: str) -> None:
        await self._schedules.sync_instance(instance_id)

    @activity.defn
    async def start_accepted(self, execution_ids: list[str]) -> None:
        """Hand over what a deploy or a delete accepted; upkeep would do it too, later."""
        for execution_id in execution_ids:
            async with self._database.snapshot() as session:
                view = await Executions(session).view(execution_id)
            if view is not None:
                await self._starter.start(handover_of(view))

    async def _switch(self, session: AsyncSession, message: DeployInput) -> DeployResult:
        deployment_id = deployment_id_of(message.job_id)
        row = await session.get(DeploymentRow, deployment_id)
        if row is None:  # else it is repeated, perhaps when another deploy has come since: that one stands
            row = await self._make(session, message, deployment_id)
        await Jobs(session).enter(message.job_id, "schedules", utcnow())
        return await self._result(session, row)

    async def _make(self, session: AsyncSession, message: DeployInput, deployment_id: str) -> DeploymentRow:
        deploy = await self._read(session, message)
        instance, now = deploy.instance, utcnow()
        ensure_deployable(deploy.definition, deploy.values)
        await ensure_connected(session, self._vault, instance, deploy.definition.fields(), deploy.values)
        await Jobs(session).enter(message.job_id, "switching", now)
        row = await self._deployment_row(session, deployment_id, deploy, now)
        Instances(session).add_deployment(row)
        await session.flush()
        flows = await self._sync_flows(session, deploy, now)
        instance.deployment_id, instance.deployed_at, instance.needs_deploy = row.id, now, False
        await self._accept_deploy_flows(session, deploy, row, flows)
        _note(session, message, deploy, now)
        return row

    async def _read(self, session: AsyncSession, message: DeployInput) -> _Deploy:
        instance = await Instances(session).get(message.instance_id, for_update=True)
        if instance is None:
            raise NotFound("There is no such instance")
        if instance.deleting:
            raise Conflict("The instance is being deleted")
        ensure_not_suspended(instance.suspended_at is not None)
        if message.version_id:
            await move_in_bulk(session, self._configuration, instance, message.version_id)
        version = await session.get_one(VersionRow, instance.version_id)
        customer = await session.get_one(CustomerRow, instance.customer_id)
        values = await self._configuration.read(session, instance.id)
        return _Deploy(instance, customer, version, Definition.model_validate(version.definition), values)

    async def _deployment_row(
        self, session: AsyncSession, deployment_id: str, deploy: _Deploy, now: datetime
    ) -> DeploymentRow:
        resolved = config.resolve(deploy.definition.fields(), deploy.values)
        await pin(session, self._vault, deploy.instance, resolved)
        hidden = {"secrets": resolved.secrets, "connections": resolved.connections}
        place = secrets_context(deployment_id)
        secrets = await self._vault.encrypt_json(session, deploy.customer.id, hidden, place)
        return DeploymentRow(
            id=deployment_id,
            instance_id=deploy.instance.id,
            version_id=deploy.version.id,
            version_number=deploy.version.number,
            definition=deploy.version.definition,
            config=resolved.public,
            secrets=secrets,
            created_at=now,
        )

    async def _sync_flows(self, session: AsyncSession, deploy: _Deploy, now: datetime) -> list[InstanceFlowRow]:
        """Rows of the version's flows in definition order. A flow that is gone keeps its row, and so its URL."""
        return await sync_flows(session, deploy.instance.id, deploy.definition, now, deploy.values)

    async def _accept_deploy_flows(
        self, session: AsyncSession, deploy: _Deploy, row: DeploymentRow, flows: list[InstanceFlowRow]
    ) -> None:
        """Of flows that run at each deploy, and of schedules that fire once: at the first deploy that finds them so."""
        keys = {flow.id: f"deploy:{row.id}" for flow in flows if flow.trigger == TriggerKind.DEPLOY}
        once = _firing_once(flows, deploy.definition, row.config)
        for fired in await Executions(session).by_dedupe_keys(once):
            del once[fired.instance_flow_id]
        if not keys and not once:
            return
        deployment = await self._deployments.assemble(session, row, deploy.instance)
        for flow in flows:
            key = keys.get(flow.id) or once.get(flow.id)
            if key is not None:
                request = Request(
                    flow=flow,
                    instance=deploy.instance,
                    customer=deploy.customer,
                    deployment=deployment,
                    payload=EMPTY,
                    dedupe_key=key,
                    hold=flow.id in once and not deploy.instance.enabled,  # paused, a schedule does not fire
                )
                await accept(session, self._payloads, request)

    async def _result(self, session: AsyncSession, row: DeploymentRow) -> DeployResult:
        instance = await session.get_one(InstanceRow, row.instance_id)
        flows = await InstanceFlows(session).of_instance(instance.id)
        shared = (await common(session, [instance])).get(instance.id)
        executions = await Executions(session).of_deployment(f"deploy:{row.id}", instance.id)
        firing = _firing_once(flows, Definition.model_validate(row.definition), row.config)
        once = await Executions(session).by_dedupe_keys(firing)
        return DeployResult(
            deployment_id=row.id,
            version=row.version_number,
            webhook_urls={
                flow.key: url_of(self._public_url, shared or flow)
                for flow in flows
                if flow.trigger == TriggerKind.WEBHOOK
            },
            deploy_executions=list(executions),
            once_executions=[each.id for each in once if each.deployment_id == row.id and each.held is None],
        )


def deployment_id_of(job_id: str) -> str:
    """The deployment that a deploy's job makes: the same one, however often it is repeated."""
    return job_id.replace("job_", "dep_", 1)


def ensure_deployable(definition: Definition, values: dict[str, Any]) -> None:
    """Raises Invalid `config_invalid` with one problem per value that is missing or no longer fits."""
    fields = definition.fields()
    problems: list[Problem] = [*config.missing(fields, values), *config.misfits(fields, values)]
    if problems:
        count = len(problems)
        noun = "value needs" if count == 1 else "values need"
        raise Invalid(f"{count} {noun} attention before this instance can be deployed", problems, code="config_invalid")


async def sync_flows(
    session: AsyncSession,
    instance_id: str,
    definition: Definition,
    now: datetime,
    values: dict[str, Any] | None = None,
) -> list[InstanceFlowRow]:
    """Rows for a version's flows. Without `values` (a new instance) nothing is scheduled yet."""
    repository = InstanceFlows(session)
    follow_definition(await session.get_one(InstanceRow, instance_id), definition)
    held = {row.key: row for row in await repository.of_instance(instance_id, active_only=False)}
    for row in held.values():
        row.active = False
    rows = []
    for position, flow in enumerate(definition.flows):
        row = held.get(flow.key) or _new_flow(instance_id, flow, now)
        if values is not None:
            row.concurrency = settings_of(flow.concurrency)
        row.name, row.position, row.trigger, row.active = flow.title, position, flow.trigger.type, True
        rows.append(row)
        repository.add(row)
    if values is not None:
        _set_schedules([*held.values(), *rows], definition, values)
    await session.flush()
    return rows


def _new_flow(instance_id: str, flow: Flow, now: datetime) -> InstanceFlowRow:
    return InstanceFlowRow(
        id=new_id("flow"),
        instance_id=instance_id,
        key=flow.key,
        token=new_token(),
        created_at=now,
        updated_at=now,
    )


def _set_schedules(rows: list[InstanceFlowRow], definition: Definition, values: dict[str, Any]) -> None:
    public = config.resolve(definition.fields(), values).public
    for row in rows:
        flow = definition.flow(row.key) if row.active else None
        schedule = _schedule(flow, public) if flow else None
        if schedule is not None or row.schedule is not None:
            row.schedule, row.schedule_dirty = schedule, True


def _firing_once(flows: Sequence[InstanceFlowRow], definition: Definition, public: Mapping[str, Any]) -> dict[str, str]:
    """By the flow's id the dedupe key that its one execution has for ever."""
    found, known = {}, {flow.key: flow.trigger for flow in definition.flows}
    for row in flows:
        trigger = known.get(row.key)  # none of a flow that another deploy has brought since
        given = public.get(trigger.from_ or "") if isinstance(trigger, ScheduleTrigger) else None
        if given and given.get("type") == "once":
            found[row.id] = f"once:{row.id}"
    return found


def _schedule(flow: Flow, public: dict[str, Any]) -> dict[str, Any] | None:
    trigger = flow.trigger
    if not isinstance(trigger, Timed):
        return None
    given = public.get(trigger.from_) if trigger.from_ else {"cron": trigger.cron, "time_zone": trigger.time_zone}
    if not given or not given.get("cron"):
        return None
    return {
        "cron": given["cron"],
        "time_zone": given.get("time_zone") or "UTC",
        "catch_up_seconds": max(parse_duration(trigger.catch_up) / timedelta(seconds=1), 10.0),
    }


def _note(session: AsyncSession, message: DeployInput, deploy: _Deploy, now: datetime) -> None:
    note(
        session,
        EventRow(
            id=new_id("evt"),
            at=now,
            principal=message.principal,
            action="instance.deployed",
            object_id=deploy.instance.id,
            instance_id=deploy.instance.id,
            customer_id=deploy.customer.id,
            details={"version": deploy.version.number},
        ),
    )


def deploy_job(message: DeployInput, now: datetime) -> JobRow:
    return JobRow(
        id=message.job_id,
        kind="deploy",
        object_id=message.instance_id,
        principal=message.principal,
        state="running",
        stage="validating",
        stages=[{"stage": "validating", "at": utc_text(now)}],
        handed_over_at=now,
        created_at=now,
        updated_at=now,
    )
