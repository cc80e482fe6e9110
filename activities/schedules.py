"""Temporal Schedules, one per instance flow that has a cron: brought in line with the ledger's row."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.handover import Handover, execution_input, retry_policy, search_attributes, summary
from domain.definitions.model import Definition
from domain.executions import retry_rule
from domain.messages import EXECUTION_WORKFLOW
from domain.schedules import Calendar, calendar_crons, calendars
from store.engine import Database
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.tables import CustomerRow, DeploymentRow, InstanceFlowRow, InstanceRow


class Schedules:
    def __init__(self, client: Client, database: Database, task_queue: str) -> None:
        self._client = client
        self._database = database
        self._task_queue = task_queue

    async def sync_instance(self, instance_id: str) -> None:
        """Bring Temporal in line with the ledger; the rows' dirty marks go when it has worked. Safe to repeat."""
        async with self._database.snapshot() as session:
            instance = await Instances(session).get(instance_id)
            flows = await InstanceFlows(session).of_instance(instance_id, active_only=False)
            deployment = None
            customer = None
            if instance is not None and instance.deployment_id and not instance.deleting:
                deployment = await session.get_one(DeploymentRow, instance.deployment_id)
                customer = await session.get_one(CustomerRow, instance.customer_id)
        for flow in flows:
            if flow.schedule is None or not flow.active or instance is None or deployment is None or customer is None:
                await self.delete(flow.id)
            else:
                await self._apply(flow.id, self._schedule(instance, customer, deployment, flow))
        async with self._database.transaction() as session:
            now = await Instances(session).get(instance_id, for_update=True)
            if _same(instance, now):
                await InstanceFlows(session).schedules_synced([(flow.id, flow.schedule) for flow in flows])
        if now is None or now.deleting:
            for flow in flows:  # a delete that has looked before them must not leave them behind
                await self.delete(flow.id)

    async def differs(self, instance: InstanceRow, flow: InstanceFlowRow) -> bool:
        """Whether Temporal lacks the flow's schedule, or lets it fire at other times than it must."""
        try:
            described = await self._client.get_schedule_handle(schedule_id(flow.id)).describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return True
        schedule = described.schedule
        return schedule.state.paused != _stands_still(instance) or not _fires_as(schedule, flow.schedule or {})

    async def delete(self, flow_id: str) -> bool:
        """False: there was none."""
        try:
            await self._client.get_schedule_handle(schedule_id(flow_id)).delete()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    async def _apply(self, flow_id: str, schedule: Schedule) -> None:
        try:
            await self._client.create_schedule(schedule_id(flow_id), schedule)
        except ScheduleAlreadyRunningError:
            handle = self._client.get_schedule_handle(schedule_id(flow_id))
            await handle.update(lambda given: _replaced(given, schedule))

    def _schedule(
        self, instance: InstanceRow, customer: CustomerRow, deployment: DeploymentRow, row: InstanceFlowRow
    ) -> Schedule:
        assert row.schedule is not None
        flow = Definition.model_validate(deployment.definition).flow(row.key)
        handover = Handover(
            execution_id="",
            instance_flow_id=row.id,
            deployment_id="",  # the deployment current when it opens
            customer_id=customer.id,
            instance_id=instance.id,
            integration_id=instance.integration_id,
            version_number=deployment.version_number,
            trigger_kind=flow.trigger.type,
            retry=retry_rule(flow.retry),
            summary=summary(customer.name, instance.name, deployment.version_number, flow.title, flow.trigger.type),
        )
        attributes = search_attributes(handover)
        action = ScheduleActionStartWorkflow(
            EXECUTION_WORKFLOW,
            execution_input(handover),
            id=schedule_id(row.id),
            task_queue=self._task_queue,
            retry_policy=retry_policy(handover.retry),
            typed_search_attributes=attributes,
            static_summary=handover.summary,
            memo={"summary": handover.summary},
        )
        return Schedule(
            action=action,
            spec=_spec(row.schedule),
            policy=SchedulePolicy(
                overlap=ScheduleOverlapPolicy.ALLOW_ALL,  # open_execution decides, so that a skipped fire is visible
                catchup_window=timedelta(seconds=row.schedule["catch_up_seconds"]),
            ),
            state=ScheduleState(paused=_stands_still(instance), note=instance.suspension_note or instance.pause_note),
        )


def _same(before: InstanceRow | None, now: InstanceRow | None) -> bool:
    """Does it still run, or stand still, and is it on the same deployment as before its schedules were applied?"""
    if before is None or now is None:
        return before is now
    return (_stands_still(before), before.deployment_id) == (_stands_still(now), now.deployment_id)


def _stands_still(instance: InstanceRow) -> bool:
    return not instance.enabled or instance.suspended_at is not None


def schedule_id(flow_id: str) -> str:
    return f"schedule-{flow_id}"


def _spec(schedule: dict[str, Any]) -> ScheduleSpec:
    return ScheduleSpec(cron_expressions=calendar_crons(schedule["cron"]), time_zone_name=schedule["time_zone"])


def _fires_as(found: Schedule, wanted: dict[str, Any]) -> bool:
    """Somebody may have edited it in Temporal, which answers a cron as the calendars that it has made of it."""
    spec, policy = found.spec, found.policy
    if spec.intervals or spec.skip or spec.start_at or spec.end_at or spec.jitter or found.state.limited_actions:
        return False
    if (spec.time_zone_name, policy.overlap) != (wanted["time_zone"], ScheduleOverlapPolicy.ALLOW_ALL):
        return False
    if policy.catchup_window != timedelta(seconds=wanted["catch_up_seconds"]):
        return False
    return {_calendar(each) for each in spec.calendars} == calendars(wanted["cron"])


def _calendar(spec: ScheduleCalendarSpec) -> Calendar:
    fields = (spec.minute, spec.hour, spec.day_of_month, spec.month)
    weekdays = frozenset(day % 7 for day in _values(spec.day_of_week))
    return (*(_values(field) for field in fields), weekdays)


def _values(spans: Sequence[ScheduleRange]) -> frozenset[int]:
    return frozenset(
        value for span in spans for value in range(span.start, max(span.start, span.end) + 1, span.step or 1)
    )


def _replaced(given: ScheduleUpdateInput, schedule: Schedule) -> ScheduleUpdate:
    return ScheduleUpdate(schedule=schedule)
