"""The sweep: it tells, looks, sets messages on their way, and forgets what is gone."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.outbox import announce_removals
from activities.watching import ensure_watch, tell_now
from domain.executions import Status
from domain.messages import WATCH_SCHEDULE, watch_queue
from domain.sweeps import WatchInput, WatchReport
from runtime.clock import utcnow
from store.engine import Database
from store.removal import Removal
from store.tables import (
    AlertRow,
    ConditionRow,
    DeliveryAttemptRow,
    DeliveryRow,
    MaintenanceWindowRow,
    MonitorRow,
    TargetRow,
)
from tests.activities.kit import Kit, close_input, definition
from tests.activities.watchtower import Tower
from tests.factories import NOW, STAMPS, Deployed, alert, an_id, delivery, monitor, saved, target

DAYS_31 = timedelta(days=31)


@pytest.fixture
def tower(temporal_kit: Kit) -> Tower:
    return Tower(temporal_kit)


async def sweep(tower: Tower, *, look: bool = True) -> WatchReport:
    report: WatchReport = await tower.kit.environment.run(tower.watching.watch, WatchInput(look))
    return report


async def test_sweep_tells_looks_and_sends(tower: Tower) -> None:
    await tower.monitor({"type": "execution_failed"}, {"type": "execution_slow", "seconds": 5})
    made = await tower.kit.made(definition({}))
    row = await tower.kit.accepted(made)
    await tower.kit.environment.run(tower.kit.executions.close_execution, close_input(row, "failed"))
    began = {"status": Status.RUNNING, "started_at": utcnow() - timedelta(seconds=9)}
    await tower.kit.accepted(made, **began)
    assert await sweep(tower) == WatchReport(told=1, found=1, started=2)
    sent = await tower.sent()
    assert {each.handed_over_at is not None for each in sent} == {True}
    for each in sent:
        described = await tower.kit.temporal.get_workflow_handle(each.id).describe()
        assert (described.status, described.task_queue) == (
            WorkflowExecutionStatus.RUNNING,
            watch_queue(tower.kit.task_queue),
        )
    assert await sweep(tower) == WatchReport()


async def test_sweep_that_only_tells_does_not_look(tower: Tower) -> None:
    await tower.monitor({"type": "execution_slow", "seconds": 5})
    began = {"status": Status.RUNNING, "started_at": utcnow() - timedelta(seconds=9)}
    await tower.kit.accepted(await tower.kit.made(definition({})), **began)
    assert (await sweep(tower, look=False)).found == 0


async def test_message_whose_workflow_is_lost_is_begun_anew(tower: Tower) -> None:
    owner = monitor()
    to = target(owner)
    now = utcnow()
    late = {"handed_over_at": NOW, "due_at": now - timedelta(minutes=3)}
    lost, waiting = delivery(to, **late), delivery(to, handed_over_at=NOW, due_at=now + timedelta(hours=1))
    soon = delivery(to, handed_over_at=NOW, due_at=now - timedelta(seconds=30))
    await saved(tower.kit.database, owner, to, lost, waiting, soon)
    assert (await sweep(tower)).started == 1
    handle = tower.kit.temporal.get_workflow_handle(lost.id)
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    assert (await sweep(tower)).started == 1  # begun already is a success
    await handle.terminate()
    assert (await sweep(tower)).started == 1
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_telling_now_joins_what_runs(temporal_kit: Kit) -> None:
    for _ in range(2):
        await tell_now(temporal_kit.temporal, temporal_kit.task_queue)
    handle = temporal_kit.temporal.get_workflow_handle(f"{WATCH_SCHEDULE}-now")
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    await handle.terminate()


async def test_schedule_of_the_sweep_is_made_once(temporal_kit: Kit) -> None:
    schedule = temporal_kit.temporal.get_schedule_handle(WATCH_SCHEDULE)
    assert [await ensure_watch(temporal_kit.temporal, temporal_kit.task_queue) for _ in range(2)] == [True, False]
    described = await schedule.describe()
    assert described.schedule.spec.intervals[0].every == timedelta(seconds=5)
    await schedule.delete()


# What is gone


async def remove(database: Database, made: Deployed) -> None:
    """As a delete does it, without executions."""
    async with database.transaction() as session:
        await Removal(session).instance(made.instance.id)


async def test_monitor_of_a_removed_instance_tells_of_it_and_goes(tower: Tower) -> None:
    made = await tower.kit.made(definition({}))
    row = await tower.monitor({"type": "instance_removed"}, instance_id=made.instance.id, flow_id=made.flow.id)
    async with tower.kit.database.transaction() as session:
        await announce_removals(session, [made.instance.id], "bootstrap")
    await remove(tower.kit.database, made)
    await tower.watching.purge()  # nobody has been told yet
    assert len(await tower.rows(MonitorRow)) == 1
    await sweep(tower)
    [raised] = await tower.alerts()
    assert (raised.monitor_id, raised.names["instance"]["name"]) == (row.id, made.instance.name)
    await tower.watching.purge()  # the message is still on its way
    assert len(await tower.rows(MonitorRow)) == 1
    [sent] = await tower.sent()
    await tower.deliver(sent.id)
    await tower.watching.purge()
    assert (await tower.rows(MonitorRow), await tower.rows(TargetRow), await tower.rows(ConditionRow)) == ([], [], [])
    assert [each.id for each in await tower.alerts()] == [raised.id]


@pytest.mark.parametrize("scope", ["instance_id", "customer_id", "integration_id"])
async def test_monitor_of_what_is_gone_goes(tower: Tower, scope: str) -> None:
    made = await tower.kit.made(definition({}))
    given: list[dict[str, Any]] = [{scope: f"{scope}_gone"}, {}, {"instance_id": made.instance.id}]
    kept = [await tower.monitor(**each) for each in given][1:]
    await tower.watching.purge()
    assert {row.id for row in await tower.rows(MonitorRow)} == {row.id for row in kept}


async def test_alerts_and_messages_go_with_what_they_are_about(tower: Tower) -> None:
    made = await tower.kit.made(definition({}))
    owner = monitor()
    to = target(owner)
    here = {"customer_id": made.customer.id, "instance_id": made.instance.id}
    gone_instance = here | {"instance_id": "inst_gone"}
    kept = [
        alert(owner, at=utcnow(), **here),
        alert(owner, at=utcnow(), trigger={"type": "instance_removed"}, **gone_instance),
        pending := alert(owner, at=utcnow(), **gone_instance),
    ]
    gone = [
        alert(owner, at=utcnow(), **gone_instance),
        alert(owner, at=utcnow(), trigger={"type": "instance_removed"}, customer_id="cust_gone"),
        alert(owner, at=utcnow() - DAYS_31, **here),
    ]
    arrived = {"state": "succeeded", "ended_at": utcnow()}
    sent = [
        delivery(to, alert_id=gone[0].id, customer_id=made.customer.id, **arrived),
        delivery(to, alert_id=pending.id),
    ]
    sent += [
        delivery(to, customer_id="cust_gone", **arrived),
        delivery(to, **arrived | {"ended_at": utcnow() - DAYS_31}),
    ]
    sent += [delivery(to, customer_id=made.customer.id, **arrived)]
    tried = [DeliveryAttemptRow(delivery_id=each.id, number=1, at=NOW, seconds=1.0) for each in sent]
    await saved(tower.kit.database, owner, to, *kept, *gone, *sent, *tried)
    await tower.watching.purge()
    assert {row.id for row in await tower.rows(AlertRow)} == {row.id for row in kept}
    assert {row.id for row in await tower.rows(DeliveryRow)} == {sent[1].id, sent[4].id}
    assert {row.delivery_id for row in await tower.attempts()} == {sent[1].id, sent[4].id}


async def test_slow_execution_is_forgotten_some_time_after_its_end(tower: Tower) -> None:
    made = await tower.kit.made(definition({}))
    owner = monitor()
    await saved(tower.kit.database, owner)
    long_ago = utcnow() - timedelta(hours=3)
    running = await tower.kit.accepted(made, status=Status.RUNNING)
    ended = await tower.kit.accepted(made, status=Status.FAILED, ended_at=long_ago)
    just_ended = await tower.kit.accepted(made, status=Status.FAILED, ended_at=utcnow())
    subjects = [running.id, ended.id, just_ended.id]
    rows = [
        ConditionRow(monitor_id=owner.id, type="execution_slow", subject_id=each, since=long_ago) for each in subjects
    ]
    await saved(tower.kit.database, *rows)
    await tower.watching.purge()
    assert {row.subject_id for row in await tower.rows(ConditionRow)} == {running.id, just_ended.id}


async def test_maintenance_that_is_long_over_is_forgotten(tower: Tower) -> None:
    windows = [
        MaintenanceWindowRow(id=an_id("mw"), principal="bootstrap", starts_at=NOW, ends_at=end, **STAMPS)
        for end in (utcnow() - DAYS_31, utcnow())
    ]
    await saved(tower.kit.database, *windows)
    await tower.watching.purge()
    assert [row.id for row in await tower.rows(MaintenanceWindowRow)] == [windows[1].id]


async def test_monitor_of_a_removed_customer_goes(tower: Tower) -> None:
    made = await tower.kit.made(definition({}))
    await tower.monitor(customer_id=made.customer.id)
    await remove(tower.kit.database, made)
    async with tower.kit.database.transaction() as session:
        await Removal(session).customer(made.customer.id)
    await tower.watching.purge()
    assert await tower.rows(MonitorRow) == []
