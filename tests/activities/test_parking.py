"""Executions that have failed for good and keep their place: what waits behind them, and what lets it go on."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from activities.handover import handover_of
from domain.executions import Status
from domain.queues import BEHIND_PARKED, QUEUED_BEHIND
from runtime.clock import utcnow
from store.executions import Executions
from store.parking import Parking
from store.tables import ExecutionRow, InstanceFlowRow
from tests.activities.kit import Kit
from tests.activities.queueing import Queue, queue

PARKS: dict[str, Any] = {"mode": "sequential", "key": "{{ trigger.body.key }}", "when_failed": "park"}
HOURS_24 = timedelta(hours=24)
KEYS = ["a", "b"]


async def failed(made: Queue, row: ExecutionRow, status: str = Status.FAILED) -> None:
    """Begins it, which must be possible, and ends it."""
    assert row.id in await made.look()
    assert await made.open(row.id)
    await made.close(row.id, status)


async def replayed(made: Queue, row: ExecutionRow) -> ExecutionRow:
    return await made.accept(row.queue_key or "", replay_of=row.id, root_id=row.root_id or row.id)


async def is_parked(made: Queue, row: ExecutionRow) -> bool:
    return (await made.kit.execution(row.id)).parked_until is not None


async def test_what_has_its_key_waits_behind_one_that_has_failed_and_says_so(kit: Kit) -> None:
    made = await queue(kit, **PARKS)
    first, second, other = await made.accept("a"), await made.accept("a"), await made.accept("b")
    await failed(made, first)
    until = (await kit.execution(first.id)).parked_until
    assert until is not None
    assert abs(until - utcnow() - HOURS_24) < timedelta(seconds=10)
    await made.open(other.id)
    await made.close(other.id, Status.SUCCEEDED)
    assert await made.look() == []
    assert (await kit.execution(second.id)).reason == BEHIND_PARKED
    async with kit.database.snapshot() as session:
        counts = await Parking(session).counts([made.made.flow.id])
    assert counts == {made.made.flow.id: (1, until)}


async def test_a_replay_takes_the_place_and_frees_it_by_success_only(kit: Kit) -> None:
    made = await queue(kit, **PARKS)
    first, second = await made.accept("a"), await made.accept("a")
    await failed(made, first)
    again = await replayed(made, first)
    await failed(made, again)
    assert (await is_parked(made, first), await is_parked(made, again)) == (True, False)
    third = await replayed(made, again)
    assert await made.look() == [third.id]
    await made.open(third.id)
    await made.close(third.id, Status.SUCCEEDED)
    assert not await is_parked(made, first)
    assert await made.look() == [second.id]


async def test_after_its_time_the_queue_goes_on_and_the_log_says_so(kit: Kit) -> None:
    made = await queue(kit, **PARKS | {"park_for": "2h"})
    first, second = await made.accept("a"), await made.accept("a")
    await failed(made, first)
    assert await made.look() == []
    await made.set(ExecutionRow, first.id, parked_until=utcnow())
    assert await made.look() == [second.id]
    assert not await is_parked(made, first)
    assert "Nobody has seen to it in time: its queue goes on without it" in await kit.lines(first.id)


async def test_a_deploy_that_parks_no_longer_lets_the_queue_go_on(kit: Kit) -> None:
    made = await queue(kit, **PARKS)
    first, second = await made.accept("a"), await made.accept("a")
    await failed(made, first)
    assert await made.look() == []
    await made.set(InstanceFlowRow, made.made.flow.id, concurrency=None)
    assert await made.look() == [second.id]


@pytest.mark.parametrize(
    ("concurrency", "given", "status"),
    [
        (PARKS | {"when_failed": "go_on"}, {}, Status.FAILED),
        (PARKS, {}, Status.CANCELED),
        (PARKS, {}, Status.RETRYING),
        (PARKS, {"is_test": True}, Status.FAILED),
    ],
)
async def test_only_what_has_failed_for_good_is_parked(
    kit: Kit, concurrency: dict[str, Any], given: dict[str, Any], status: str
) -> None:
    made = await queue(kit, **concurrency)
    first = await made.accept("a", **given)
    await failed(made, first, status)
    assert not await is_parked(made, first)


async def test_one_whose_workflow_was_terminated_is_parked_too(temporal_kit: Kit) -> None:
    made = await queue(temporal_kit, **PARKS)
    row = await made.accept("a")
    await made.look()
    await made.open(row.id)
    async with temporal_kit.database.snapshot() as session:
        view = await Executions(session).view(row.id)
    assert view is not None
    await temporal_kit.starter.start(handover_of(view))
    await temporal_kit.temporal.get_workflow_handle(row.id).terminate()
    await made.set(ExecutionRow, row.id, check_after=utcnow())
    await temporal_kit.environment.run(temporal_kit.upkeep.sweep)
    assert await is_parked(made, row)


async def test_keys_stand_still_behind_parked_ones_and_no_other_is_ever_idle(kit: Kit) -> None:
    made = await queue(kit, **PARKS)
    random = Random("parking")
    for _ in range(80):
        await random.choice([_deliver, _deliver, _end, _end, _see_to])(made, random)
        await made.look()
        rows = await made.all()
        for key in KEYS:
            of_key = [row for row in rows if row.queue_key == key]
            running = [row for row in of_key if row.status in (Status.QUEUED, Status.RUNNING) and row.handed_over_at]
            waiting = [row for row in of_key if row.status == Status.QUEUED and not row.handed_over_at]
            lineages = {row.root_id or row.id for row in of_key if row.parked_until}
            could = [row for row in waiting if not lineages or row.root_id in lineages]
            assert len(running) <= 1
            assert running or not could
            assert all(not lineages or row.root_id in lineages for row in running)
            for row in waiting:
                assert row.reason == (BEHIND_PARKED if lineages else QUEUED_BEHIND)


async def _deliver(made: Queue, random: Random) -> None:
    await made.accept(random.choice(KEYS))


async def _end(made: Queue, random: Random) -> None:
    rows = [row for row in await made.all() if row.status == Status.QUEUED and row.handed_over_at]
    for row in rows[:1]:
        await made.open(row.id)
        await made.close(row.id, random.choice([Status.SUCCEEDED, Status.FAILED]))


async def _see_to(made: Queue, random: Random) -> None:
    """Somebody replays one that is parked, or gives it up."""
    for row in [row for row in await made.all() if row.parked_until][:1]:
        if random.random() < 0.8:
            await replayed(made, row)
        else:
            async with made.kit.database.transaction() as session:
                await Parking(session).free(made.made.flow.id, [row.id], utcnow())
