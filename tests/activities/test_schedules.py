from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import (
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleRange,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
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


CRONS = ("* * * * *", "*/15 9-17 * JAN-MAR mon-fri", "0 0 29 2 *", "0 0 1,15 * 0,7", "5/10 0 * jul *", "0 3 13 * 5")


async def test_schedule_does_not_differ_from_its_row(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition(NIGHTLY))
    for cron in CRONS:
        await changed(temporal_kit, made, schedule=CRON | {"cron": cron})
        assert await differs(temporal_kit, made), cron
        await temporal_kit.schedules.sync_instance(made.instance.id)
        assert not await differs(temporal_kit, made), cron
    await temporal_kit.schedules.delete(made.flow.id)
    assert await differs(temporal_kit, made)


def edited(**changes: Any) -> Callable[[ScheduleUpdateInput], ScheduleUpdate]:
    """Of its spec, its policy or its state."""

    def edit(given: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule = given.description.schedule
        for name, value in changes.items():
            part = next(each for each in (schedule.spec, schedule.policy, schedule.state) if hasattr(each, name))
            setattr(part, name, value)
        return ScheduleUpdate(schedule=schedule)

    return edit


EDITS: list[dict[str, Any]] = [
    {"calendars": [], "cron_expressions": ["0 4 13 * *", "0 3 * * 5"]},
    {"cron_expressions": ["0 5 * * *"]},
    {"intervals": [ScheduleIntervalSpec(timedelta(hours=1))]},
    {"jitter": timedelta(minutes=5)},
    {"start_at": datetime(2100, 1, 1, tzinfo=UTC)},
    {"end_at": datetime(2100, 1, 1, tzinfo=UTC)},
    {"skip": [ScheduleCalendarSpec(month=[ScheduleRange(7)])]},
    {"time_zone_name": "UTC"},
    {"overlap": ScheduleOverlapPolicy.SKIP},
    {"catchup_window": timedelta(seconds=91)},
    {"paused": True},
    {"limited_actions": True, "remaining_actions": 3},
]


async def test_schedule_that_somebody_has_edited_differs(temporal_kit: Kit) -> None:
    made = await scheduled(temporal_kit)
    await temporal_kit.schedules.sync_instance(made.instance.id)
    for changes in EDITS:
        await temporal_kit.temporal.get_schedule_handle(schedule_id(made.flow.id)).update(edited(**changes))
        assert await differs(temporal_kit, made), changes
        await temporal_kit.schedules.sync_instance(made.instance.id)
        assert not await differs(temporal_kit, made), changes
    await temporal_kit.schedules.delete(made.flow.id)


async def differs(kit: Kit, made: Deployed) -> bool:
    async with kit.database.snapshot() as session:
        flow = await session.get_one(InstanceFlowRow, made.flow.id)
    return await kit.schedules.differs(made.instance, flow)
