from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete

from activities import usage
from activities.usage import UsageActivities
from domain.executions import Status
from domain.sweeps import UsageReport
from runtime.clock import utcnow
from store.removed import hour_of
from store.tables import ExecutionRow, HourRow, SweepRow, UsageDayRow, UsageHourRow
from store.usage import HOUR
from tests.activities.kit import Kit, definition
from tests.activities.test_retention import USUAL
from tests.factories import Deployed, saved


async def counted(kit: Kit) -> UsageReport:
    report: UsageReport = await kit.environment.run(UsageActivities(kit.database, USUAL).count_usage)
    return report


async def ended(kit: Kit, made: Deployed, ago: timedelta, status: Status = Status.SUCCEEDED) -> ExecutionRow:
    at = utcnow() - ago
    return await kit.accepted(made, status=status, queued_at=at, updated_at=at, ended_at=at)


async def test_everything_since_the_oldest_execution_is_counted(kit: Kit) -> None:
    made = await kit.made(definition({}))
    for hours in (100, 50, 0):
        await ended(kit, made, hours * HOUR)
    report = await counted(kit)
    assert (report.hours, report.imbalance) == (101, 0)
    assert report.settled in (99, 100)  # the last full hour, once ten minutes are over
    days = await kit.rows(UsageDayRow)
    assert sum(row.succeeded for row in days) == 3
    assert {row.customer_id for row in days} == {made.customer.id}
    [today] = [row for row in days if row.day == utcnow().date()]
    assert today.enabled_instances == 1.0


async def test_counting_again_changes_nothing(kit: Kit) -> None:
    made = await kit.made(definition({}))
    await ended(kit, made, 3 * HOUR)
    await counted(kit)
    before = {(row.day, row.customer_id): (row.succeeded, row.enabled_instances) for row in await kit.rows(UsageDayRow)}
    report = await counted(kit)
    assert report.hours in (1, 2)  # what is not settled
    assert {
        (row.day, row.customer_id): (row.succeeded, row.enabled_instances) for row in await kit.rows(UsageDayRow)
    } == before


async def test_execution_that_vanishes_from_a_settled_hour_is_missed(kit: Kit) -> None:
    made = await kit.made(definition({}))
    row = await ended(kit, made, 3 * HOUR)
    await ended(kit, made, 3 * HOUR)
    assert (await counted(kit)).imbalance == 0
    async with kit.database.transaction() as session:
        await session.execute(delete(ExecutionRow).where(ExecutionRow.id == row.id))
    assert (await counted(kit)).imbalance == 1
    [sweep] = await kit.rows(SweepRow)
    assert (sweep.name, sweep.report) == (usage.SWEEP, {"imbalance": 1})
    [hour] = [each for each in await kit.rows(UsageHourRow) if each.imbalance]
    assert (hour.hour, hour.customer_id) == (hour_of(row.queued_at), made.customer.id)


async def test_past_hours_are_checked_by_turns(kit: Kit) -> None:
    """A week has 14 turns; what has vanished in its midst is found within them."""
    made = await kit.made(definition({}))
    row = await ended(kit, made, 60 * HOUR)
    await ended(kit, made, 7 * 24 * HOUR)
    await counted(kit)
    async with kit.database.transaction() as session:
        await session.execute(delete(ExecutionRow).where(ExecutionRow.id == row.id))
    found = [(await counted(kit)).imbalance for _ in range(15)]
    assert found[0] == 0
    assert found[-1] == 1


async def test_hours_go_when_nobody_asks_for_them_and_days_stay(kit: Kit) -> None:
    long_ago: datetime = hour_of(utcnow()) - timedelta(days=60)
    await saved(kit.database, HourRow(hour=long_ago, settled_at=long_ago))
    zeros = dict.fromkeys(("succeeded", "failed", "canceled", "skipped", "tests", "steps"), 0)
    day = UsageDayRow(day=long_ago.date(), customer_id="cust_gone", enabled_instances=1.0, updated_at=long_ago, **zeros)
    await saved(kit.database, day)
    await counted(kit)
    assert long_ago not in {row.hour for row in await kit.rows(HourRow)}
    assert long_ago.date() in {row.day for row in await kit.rows(UsageDayRow)}


@pytest.mark.parametrize("paused", [True, False])
async def test_an_hour_is_sampled_once(kit: Kit, paused: bool) -> None:
    made = await kit.made(definition({}), enabled=not paused)
    await counted(kit)
    async with kit.database.transaction() as session:
        instance = await session.get_one(type(made.instance), made.instance.id)
        instance.enabled = not instance.enabled
    await counted(kit)
    samples = [row.enabled_instances for row in await kit.rows(UsageHourRow) if row.customer_id == made.customer.id]
    assert sum(samples) == (0 if paused else 1) or len(await kit.rows(HourRow)) > 1
