from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio.client import ScheduleActionStartWorkflow, ScheduleDescription, ScheduleOverlapPolicy
from temporalio.service import RPCError

from activities.schedules import schedule_id
from domain.executions import RetryRule
from domain.messages import ExecutionInput
from store.tables import InstanceFlowRow, InstanceRow
from tests.activities.kit import Kit, definition
from tests.factories import Deployed

CRON = {"cron": "0 3 13 * 5", "time_zone": "Europe/Berlin", "catch_up_seconds": 90.0}
NIGHTLY = {"trigger": {"type": "schedule", "cron": "0 3 13 * 5"}, "retry": {"retries": 1, "delay": "7s"}}


async def scheduled(kit: Kit) -> Deployed:
    made = await kit.made(definition(NIGHTLY))
    await changed(kit, made, schedule=CRON, schedule_dirty=True)
    return made


async def changed(kit: Kit, made: Deployed, **values: Any) -> None:
    async with kit.database.transaction() as session:
        flow = await session.get_one(InstanceFlowRow, made.flow.id)
        for name, value in values.items():
            setattr(flow, name, value)


async def described(kit: Kit, made: Deployed) -> ScheduleDescription | None:
    try:
        return await kit.temporal.get_schedule_handle(schedule_id(made.flow.id)).describe()
    except RPCError:
        return None


async def dirty(kit: Kit) -> list[bool]:
    return [flow.schedule_dirty for flow in await kit.rows(InstanceFlowRow)]


async def test_schedule_is_made_as_the_row_says(temporal_kit: Kit) -> None:
    made = await scheduled(temporal_kit)
    await temporal_kit.schedules.sync_instance(made.instance.id)
    found = await described(temporal_kit, made)
    assert found is not None
    schedule = found.schedule
    assert schedule.policy.overlap == ScheduleOverlapPolicy.ALLOW_ALL
    assert schedule.policy.catchup_window == timedelta(seconds=90)
    assert schedule.spec.time_zone_name == "Europe/Berlin"
    # Day of month and day of week are alternatives in a cron, and both must match in one calendar.
    assert len(schedule.spec.calendars) == 2
    assert not schedule.state.paused
    action = schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    [given] = await temporal_kit.temporal.data_converter.decode(action.args, [ExecutionInput])
    assert given == ExecutionInput(made.flow.id, retry=RetryRule(2, 7.0))
    assert action.retry_policy is not None
    assert action.retry_policy.maximum_attempts == 2
    names = {pair.key.name: pair.value for pair in action.typed_search_attributes}
    assert (names["CustomerId"], names["Trigger"]) == (made.customer.id, "schedule")
    assert await dirty(temporal_kit) == [False]
    await temporal_kit.schedules.delete(made.flow.id)


async def test_schedule_is_paused_with_its_instance(temporal_kit: Kit) -> None:
    made = await scheduled(temporal_kit)
    for enabled in (True, False):
        async with temporal_kit.database.transaction() as session:
            row = await session.get_one(InstanceRow, made.instance.id)
            row.enabled, row.pause_note = enabled, None if enabled else "Stocktaking"
        await temporal_kit.schedules.sync_instance(made.instance.id)
    found = await described(temporal_kit, made)
    assert found is not None
    assert (found.schedule.state.paused, found.schedule.state.note) == (True, "Stocktaking")
    await temporal_kit.schedules.delete(made.flow.id)


async def test_schedule_goes_with_its_cron(temporal_kit: Kit) -> None:
    made = await scheduled(temporal_kit)
    await temporal_kit.schedules.sync_instance(made.instance.id)
    await changed(temporal_kit, made, schedule=None, schedule_dirty=True)
    for _ in range(2):
        await temporal_kit.schedules.sync_instance(made.instance.id)
    assert await described(temporal_kit, made) is None
    assert await dirty(temporal_kit) == [False]


async def test_change_while_it_is_applied_leaves_the_mark(temporal_kit: Kit) -> None:
    """Temporal was given the earlier cron, so the row must be looked at again."""
    made = await scheduled(temporal_kit)
    schedules = temporal_kit.schedules
    given = temporal_kit.temporal

    class Late:
        """Changes the row as soon as Temporal has been told."""

        async def create_schedule(self, *arguments: Any) -> None:
            await given.create_schedule(*arguments)
            await changed(temporal_kit, made, schedule=CRON | {"cron": "1 1 * * *"}, schedule_dirty=True)

    late = replace(temporal_kit, client=Late())  # type: ignore[arg-type]
    await late.schedules.sync_instance(made.instance.id)
    assert await dirty(temporal_kit) == [True]
    await schedules.sync_instance(made.instance.id)
    assert await dirty(temporal_kit) == [False]
    await schedules.delete(made.flow.id)
