from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import Status
from store.engine import Database
from store.executions import Acceptance, Executions
from store.paging import Page
from store.removal import Removal
from store.tables import UsageDayRow, UsageHourRow
from store.usage import HOUR, Usage, UsageFilter, key_of
from tests.factories import NOW, Deployed, deployed, execution, save
from tests.store.test_retention import step

HOUR_OF_NOW = NOW.replace(minute=0, second=0)
DAY = NOW.date()


async def ended(session: AsyncSession, made: Deployed, at: datetime, **given: Any) -> str:
    """An execution of two steps, one of them taken over from elsewhere."""
    defaults: dict[str, Any] = {"status": Status.SUCCEEDED, "ended_at": at, "updated_at": at}
    row = execution(made.instance, made.flow, **defaults | given)
    await Executions(session).accept(Acceptance(row))
    await save(session, step(row), step(row, path="kept", tries=0))
    return row.id


async def hours(session: AsyncSession) -> dict[tuple[datetime, str], dict[str, int]]:
    names = ("succeeded", "failed", "canceled", "skipped", "tests", "steps")
    rows = await session.scalars(select(UsageHourRow).execution_options(populate_existing=True))
    return {(row.hour, row.customer_id): {name: n for name in names if (n := getattr(row, name))} for row in rows}


async def test_executions_are_counted_where_they_ended_however_often(database: Database) -> None:
    async with database.transaction() as session:
        made, other = await deployed(session), await deployed(session)
        for status in (Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED, Status.SKIPPED):
            await ended(session, made, NOW, status=status)
        await ended(session, made, NOW, is_test=True)
        await ended(session, made, NOW + HOUR, status=Status.CANCELED)
        await ended(session, other, NOW)
        await ended(session, made, NOW + 2 * HOUR)
        await ended(session, made, NOW, status=Status.RUNNING, ended_at=None)
        usage = Usage(session)
        for _ in range(2):
            await usage.put(await usage.ended(HOUR_OF_NOW, HOUR_OF_NOW + 2 * HOUR))
        assert await hours(session) == {
            (HOUR_OF_NOW, made.customer.id): {"succeeded": 2, "failed": 1, "skipped": 1, "tests": 1, "steps": 5},
            (HOUR_OF_NOW + HOUR, made.customer.id): {"canceled": 1, "steps": 1},
            (HOUR_OF_NOW, other.customer.id): {"succeeded": 1, "steps": 1},
        }


async def test_removed_executions_count_as_before(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        ids = [await ended(session, made, NOW, is_test=number == 0) for number in range(3)]
        usage = Usage(session)
        before = await usage.ended(HOUR_OF_NOW, HOUR_OF_NOW + HOUR)
        assert dict(before[HOUR_OF_NOW, made.customer.id]) == {"succeeded": 2, "tests": 1, "steps": 3}
        await Removal(session).executions(ids[:2], ids[:2])
        assert await usage.ended(HOUR_OF_NOW, HOUR_OF_NOW + HOUR) == before


async def test_enabled_instances_are_averaged_over_the_hours_that_were_sampled(database: Database) -> None:
    """Two of one customer, then one; of another one, in the second of three hours."""
    async with database.transaction() as session:
        made, other = await deployed(session), await deployed(session, enabled=False)
        more = await deployed(session)
        more.instance.customer_id = made.customer.id
        for given in ({"suspended_at": NOW}, {"configured": False}, {"deleting": True}, {"deployment_id": None}):
            left_out = await deployed(session)
            for name, value in given.items():
                setattr(left_out.instance, name, value)
        await session.flush()
        usage = Usage(session)
        await usage.sample(NOW)
        more.instance.enabled, other.instance.enabled = False, True
        await session.flush()
        assert await usage.is_sampled(HOUR_OF_NOW)
        assert not await usage.is_sampled(HOUR_OF_NOW + HOUR)
        await usage.sample(NOW + HOUR)
        other.instance.enabled = False
        await session.flush()
        await usage.sample(NOW + 2 * HOUR)
        await usage.sum_up(DAY, NOW)
        rows = await session.scalars(select(UsageDayRow))
        assert {row.customer_id: round(row.enabled_instances, 3) for row in rows} == {
            made.customer.id: 1.333,
            other.customer.id: 0.333,
        }


async def test_day_is_the_sum_of_its_hours_and_of_no_other(database: Database) -> None:
    async with database.transaction() as session:
        made, usage = await deployed(session), Usage(session)
        midnight = datetime.combine(DAY, datetime.min.time(), NOW.tzinfo)
        for at in (midnight - timedelta(seconds=1), midnight, midnight + 23 * HOUR, midnight + 24 * HOUR):
            await ended(session, made, at, updated_at=at)
        await usage.put(await usage.ended(midnight - HOUR, midnight + 25 * HOUR))
        for _ in range(2):
            await usage.sum_up(DAY, NOW)
        [row] = await session.scalars(select(UsageDayRow))
        assert (row.day, row.succeeded, row.steps, row.failed) == (DAY, 2, 2, 0)


async def test_list_goes_backwards_by_day_and_outlives_customers(database: Database) -> None:
    zeros = dict.fromkeys(("succeeded", "failed", "canceled", "skipped", "tests", "steps"), 0)
    async with database.transaction() as session:
        made = await deployed(session)
        for day in (1, 2, 3):
            for customer_id in (made.customer.id, "cust_gone"):
                values = {"day": date(2026, 1, day), "customer_id": customer_id, "enabled_instances": 1.0}
                await save(session, UsageDayRow(**values, **zeros, updated_at=NOW))
        usage = Usage(session)
        wanted, found, after = UsageFilter(date(2026, 1, 2), date(2026, 1, 3)), [], None
        while True:
            rows = await usage.list(wanted, Page(1, after))
            found.append((rows[0].row.day.day, rows[0].customer_name))
            if len(rows) == 1:
                break
            after = key_of(rows[0])
        assert found == [(3, made.customer.name), (3, None), (2, made.customer.name), (2, None)]
        of_one = await usage.list(UsageFilter(date(2026, 1, 1), date(2026, 1, 1), ["cust_gone"]), Page(9))
        assert [(view.row.day.day, view.row.customer_id) for view in of_one] == [(1, "cust_gone")]


async def test_unsettled_begins_with_the_oldest_execution(database: Database) -> None:
    async with database.transaction() as session:
        usage = Usage(session)
        assert await usage.unsettled_since(NOW) == HOUR_OF_NOW
        await ended(session, await deployed(session), NOW, queued_at=NOW - 5 * HOUR)
        assert await usage.unsettled_since(NOW) == HOUR_OF_NOW - 5 * HOUR
