"""What monitors look for themselves: slow, overdue, backlog; each told once, and again after it was over."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from domain.executions import Status
from runtime.clock import utcnow
from runtime.ids import new_id
from store.monitors import Monitors
from store.tables import Base, ConditionRow, ExecutionRow, InstanceFlowRow, InstanceRow, MonitorRow, UsageHourRow
from tests.activities.kit import Kit, definition
from tests.activities.watchtower import Tower
from tests.factories import Deployed, saved

SLOW = {"type": "execution_slow", "seconds": 60}
OVERDUE = {"type": "execution_overdue", "minutes": 10}
BACKLOG = {"type": "queue_backlog", "waiting": 2}
LONG_AGO = utcnow() - timedelta(days=3)


@pytest.fixture
def tower(kit: Kit) -> Tower:
    return Tower(kit)


def ago(**given: float) -> datetime:
    return utcnow() - timedelta(**given)


async def deployed_long_ago(tower: Tower, **of_flow: Any) -> Deployed:
    made = await tower.kit.made(definition({"key": "hello", **of_flow}))
    await change(tower, InstanceRow, made.instance.id, deployed_at=LONG_AGO, updated_at=LONG_AGO)
    return made


async def change(tower: Tower, table: type[Base], row_id: Any, **values: Any) -> None:
    async with tower.kit.database.transaction() as session:
        row = await session.get_one(table, row_id)
        for name, value in values.items():
            setattr(row, name, value)


async def running(tower: Tower, made: Deployed, seconds: float, **given: Any) -> ExecutionRow:
    values = {"status": Status.RUNNING, "started_at": ago(seconds=seconds)} | given
    return await tower.kit.accepted(made, **values)


# Slow


async def test_slow_execution_is_found_while_it_runs_and_told_once(tower: Tower) -> None:
    monitor = await tower.monitor(SLOW)
    made = await tower.kit.made(definition({}))
    row = await running(tower, made, 61)
    assert [await tower.look() for _ in range(2)] == [1, 0]
    [alert] = await tower.alerts()
    assert (alert.monitor_id, alert.execution_id, alert.flow_id) == (monitor.id, row.id, made.flow.id)
    assert alert.message.startswith(f"{made.instance.name} · Hello: an execution has taken 61 s")
    assert (await tower.one(MonitorRow, monitor.id)).last_alert_id == alert.id
    assert len(await tower.sent()) == 1


@pytest.mark.parametrize(
    ("seconds", "given"),
    [
        (59, {}),
        (90, {"is_test": True}),
        (90, {"status": Status.RETRYING}),
        (90, {"status": Status.SUCCEEDED}),
        (90, {"status": Status.QUEUED, "started_at": None}),
    ],
)
async def test_execution_that_is_not_slow_is_not_found(tower: Tower, seconds: float, given: dict[str, Any]) -> None:
    await tower.monitor(SLOW)
    await running(tower, await tower.kit.made(definition({})), seconds, **given)
    assert await tower.look() == 0


async def test_each_monitor_has_its_own_limit_and_place(tower: Tower) -> None:
    made, other = await tower.kit.made(definition({})), await tower.kit.made(definition({}))
    await running(tower, made, 90)
    wanted = {
        (await tower.monitor(SLOW)).id,
        (await tower.monitor(SLOW, integration_id=made.integration.id)).id,
        (await tower.monitor(SLOW, instance_id=made.instance.id, flow_id=made.flow.id)).id,
    }
    await tower.monitor(SLOW | {"seconds": 600})
    await tower.monitor(SLOW, customer_id=other.customer.id)
    await tower.monitor(SLOW, enabled=False)
    assert await tower.look() == 3
    assert {alert.monitor_id for alert in await tower.alerts()} == wanted


async def test_more_slow_executions_than_a_batch_are_all_found(tower: Tower) -> None:
    await tower.monitor(SLOW, targets=0)
    made = await tower.kit.made(definition({}))
    rows = [
        {
            "id": new_id("exec"),
            "started_at": ago(seconds=90),
            "status": "running",
            "instance_flow_id": made.flow.id,
            "instance_id": made.instance.id,
            "customer_id": made.customer.id,
            "integration_id": made.integration.id,
            "version_id": made.version.id,
            "deployment_id": made.deployment.id,
            "trigger": "webhook",
            "retry": {},
            "tags": {},
            "queued_at": ago(seconds=90),
            "created_at": ago(seconds=90),
            "updated_at": ago(seconds=90),
        }
        for _ in range(1_100)
    ]
    async with tower.kit.database.transaction() as session:
        session.add_all(ExecutionRow(**row) for row in rows)
    assert await tower.look() == 1_100
    assert await tower.look() == 0


async def test_what_two_find_at_once_is_told_once(tower: Tower) -> None:
    await tower.monitor(SLOW)
    await running(tower, await tower.kit.made(definition({})), 90)
    found = await asyncio.gather(*(tower.look() for _ in range(4)))
    assert sum(found) == len(await tower.alerts()) == 1


async def test_monitor_that_was_deleted_meanwhile_tells_nothing(tower: Tower) -> None:
    monitor = await tower.monitor(SLOW)
    await running(tower, await tower.kit.made(definition({})), 90)
    looked_for = tower.outbox.looked_for
    async with tower.kit.database.transaction() as session:
        await Monitors(session).delete([monitor.id])
    assert looked_for
    assert await tower.look() == 0


# Overdue


async def test_quiet_flow_is_overdue_once_and_again_after_it_has_run(tower: Tower) -> None:
    monitor = await tower.monitor(OVERDUE, armed_at=LONG_AGO)
    made = await deployed_long_ago(tower)
    assert [await tower.look() for _ in range(2)] == [1, 0]
    [alert] = await tower.alerts()
    assert (alert.monitor_id, alert.flow_id, alert.execution_id) == (monitor.id, made.flow.id, None)
    assert "no execution for 10 minutes" in alert.message
    row = await tower.kit.accepted(made, id=new_id("exec"), status=Status.SUCCEEDED)
    assert await tower.look() == 0
    assert await tower.rows(ConditionRow) == []
    async with tower.kit.database.transaction() as session:
        await session.execute(delete(ExecutionRow).where(ExecutionRow.id == row.id))
    assert await tower.look() == 1


@pytest.mark.parametrize(
    "given",
    [
        {"deployed_at": "now"},
        {"updated_at": "now"},
        {"deployment_id": None},
        {"enabled": False},
        {"suspended_at": LONG_AGO},
        {"deleting": True},
    ],
)
async def test_flow_that_could_not_have_run_is_not_overdue(tower: Tower, given: dict[str, Any]) -> None:
    await tower.monitor(OVERDUE, armed_at=LONG_AGO)
    made = await deployed_long_ago(tower)
    given = {name: utcnow() if value == "now" else value for name, value in given.items()}
    await change(tower, InstanceRow, made.instance.id, **given)
    assert await tower.look() == 0


async def test_overdue_counts_from_the_monitors_own_beginning(tower: Tower) -> None:
    await tower.monitor(OVERDUE, armed_at=ago(minutes=9))
    await deployed_long_ago(tower)
    assert await tower.look() == 0


async def test_latest_execution_counts_and_tests_do_not(tower: Tower) -> None:
    await tower.monitor(OVERDUE, armed_at=LONG_AGO)
    made = await deployed_long_ago(tower)
    await tower.kit.accepted(made, id=new_id("exec"), status=Status.SKIPPED)
    assert await tower.look() == 0
    async with tower.kit.database.transaction() as session:
        await session.execute(update(ExecutionRow).values(is_test=True))
    assert await tower.look() == 1


async def test_flows_that_nobody_expects_are_never_overdue(tower: Tower) -> None:
    await tower.monitor(OVERDUE, armed_at=LONG_AGO)
    await deployed_long_ago(tower, trigger={"type": "deploy"})
    inactive = await deployed_long_ago(tower)
    await change(tower, InstanceFlowRow, inactive.flow.id, active=False)
    assert await tower.look() == 0


@pytest.mark.parametrize("scope", ["customer_id", "integration_id", "instance_id", "flow_id"])
async def test_overdue_is_looked_for_where_somebody_watches(tower: Tower, scope: str) -> None:
    made = await deployed_long_ago(tower)
    await deployed_long_ago(tower)
    ids = {
        "customer_id": made.customer.id,
        "integration_id": made.integration.id,
        "instance_id": made.instance.id,
        "flow_id": made.flow.id,
    }
    given: dict[str, Any] = {scope: ids[scope]} | ({"instance_id": made.instance.id} if scope == "flow_id" else {})
    await tower.monitor(OVERDUE, armed_at=LONG_AGO, **given)
    assert await tower.look() == 1
    assert [alert.flow_id for alert in await tower.alerts()] == [made.flow.id]


async def test_overdue_may_be_left_out_of_a_look(tower: Tower) -> None:
    await tower.monitor(OVERDUE, armed_at=LONG_AGO)
    await deployed_long_ago(tower)
    assert await tower.look(overdue=False) == 0


# Backlog


async def test_backlog_is_told_once_and_again_after_it_was_worked_off(tower: Tower) -> None:
    monitor = await tower.monitor(BACKLOG)
    made = await tower.kit.made(definition({}))
    rows = [await tower.kit.accepted(made, held=each) for each in (None, 1)]
    assert [await tower.look() for _ in range(2)] == [1, 0]
    [alert] = await tower.alerts()
    assert (alert.monitor_id, alert.flow_id) == (monitor.id, made.flow.id)
    assert "2 executions are waiting, limit 2" in alert.message
    await change(tower, ExecutionRow, rows[0].id, status=Status.RUNNING)
    assert await tower.look() == 0
    await change(tower, ExecutionRow, rows[0].id, status=Status.QUEUED)
    assert await tower.look() == 1


async def test_backlog_is_counted_by_flow(tower: Tower) -> None:
    await tower.monitor(BACKLOG)
    for _ in range(3):
        await tower.kit.accepted(await tower.kit.made(definition({})))
    assert await tower.look() == 0


# Books


async def test_books_that_do_not_balance_are_told_once_and_again_after_they_did(tower: Tower) -> None:
    await tower.monitor({"type": "books_unbalanced"})
    made = await tower.kit.made(definition({}))
    row = UsageHourRow(
        hour=LONG_AGO.replace(minute=0, second=0, microsecond=0), customer_id=made.customer.id, imbalance=2
    )
    await saved(tower.kit.database, row)
    assert [await tower.look() for _ in range(2)] == [1, 0]
    [alert] = await tower.alerts()
    assert "2 accepted executions are neither ended nor in flight nor held" in alert.message
    await change(tower, UsageHourRow, (row.hour, row.customer_id), imbalance=0)
    assert await tower.look() == 0
    await change(tower, UsageHourRow, (row.hour, row.customer_id), imbalance=1)
    assert await tower.look() == 1
