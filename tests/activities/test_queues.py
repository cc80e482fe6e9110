"""Slots of a queue, on the ledger: deliveries, ends, retries, replays, lost starts and pauses, at random, and alone."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from domain.executions import OPEN, TERMINAL, Status
from domain.queues import QUEUED_BEHIND
from runtime.clock import utcnow
from store.queues import QueueOf, Queues
from store.tables import InstanceFlowRow, InstanceRow
from tests.activities.kit import Kit
from tests.activities.queueing import Queue, queue

STEPS = 60
KEYS = ["a", "b", "c"]

SHAPES: dict[str, dict[str, Any]] = {
    "sequential": {"mode": "sequential"},
    "held": {"mode": "sequential", "on_failure": "hold"},
    "throttled": {"mode": "throttled", "limit": 3},
    "per key": {"mode": "sequential", "key": "{{ trigger.body.key }}"},
    "two, per key": {"mode": "throttled", "limit": 2, "key": "{{ trigger.body.key }}", "on_failure": "hold"},
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_queue_keeps_its_limit_and_order_and_is_never_idle(kit: Kit, shape: str) -> None:
    made = await queue(kit, **SHAPES[shape])
    random = Random(shape)
    acts = [_deliver] * 4 + [_end] * 4 + [_replay, _retry_is_due, _restart, _pause, _look_twice]
    for _ in range(STEPS):
        await random.choice(acts)(made, random)
        if random.random() < 0.8:
            await made.look()
        await _check(made)
    await made.set(InstanceFlowRow, made.made.flow.id, queue_paused=False)
    while open_ones := await made.in_state(*OPEN):
        await made.look()
        for each in open_ones:
            if (await kit.execution(each)).handed_over_at and await made.open(each):
                await made.close(each, Status.SUCCEEDED)
        await _check(made)
    by_key = {key: [each for each in made.rows if made.rows[each].queue_key == key] for key in ["", *KEYS]}
    for ids in by_key.values():
        assert [each for each in made.begun if each in ids] == ids
    assert max(Counter(made.begun).values()) == 1


async def _deliver(made: Queue, random: Random) -> None:
    await made.accept(random.choice(KEYS))


async def _replay(made: Queue, random: Random) -> None:
    """It waits like a new delivery, with the key of its original."""
    for each in (await made.in_state(Status.FAILED))[:1]:
        await made.accept(made.rows[each].queue_key or "", replay_of=each, root_id=each)


async def _end(made: Queue, random: Random) -> None:
    for each in (await made.in_state(Status.RUNNING))[:1]:
        await made.close(each, random.choice([Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED, Status.RETRYING]))


async def _retry_is_due(made: Queue, _: Random) -> None:
    for each in (await made.in_state(Status.RETRYING))[:1]:
        assert not await made.open(each)


async def _restart(made: Queue, random: Random) -> None:
    """Some of those that were started open, others are lost for a while, with the worker."""
    for each in await made.in_state(Status.QUEUED):
        if (await made.kit.execution(each)).handed_over_at and random.random() < 0.7:
            assert await made.open(each)


async def _pause(made: Queue, random: Random) -> None:
    await made.set(InstanceFlowRow, made.made.flow.id, queue_paused=random.random() < 0.3)


async def _look_twice(made: Queue, _: Random) -> None:
    """A second look at the same time gives nothing away twice."""
    await made.look()
    assert await made.look() == []


async def _check(made: Queue) -> None:
    rows = await made.all()
    claimed = [row for row in rows if row.handed_over_at and row.status not in TERMINAL]
    running = [row for row in claimed if row.status != Status.RETRYING]
    busy = claimed if made.rule.hold else running
    assert made.rule.limit is not None
    assert len(busy) <= made.rule.limit
    if made.rule.per_key:
        assert max(Counter(row.queue_key for row in running).values(), default=0) <= 1
    async with made.kit.database.snapshot() as session:
        flow = await session.get_one(InstanceFlowRow, made.made.flow.id)
    if flow.queue_paused:
        return
    await made.look()
    rows = await made.all()
    claimed = [row for row in rows if row.handed_over_at and row.status not in TERMINAL]
    busy = claimed if made.rule.hold else [row for row in claimed if row.status != Status.RETRYING]
    keys = {row.queue_key for row in busy} if made.rule.per_key else set()
    could = [row.id for row in rows if row.status == Status.QUEUED and not row.handed_over_at]
    could = [each for each in could if made.rows[each].queue_key not in keys]
    assert len(busy) == made.rule.limit or not could


async def test_one_that_ends_tells_its_queue_only_where_something_waits(kit: Kit) -> None:
    made = await queue(kit, mode="sequential")
    first, second = await made.accept(), await made.accept()
    for row, told in ((first, [made.made.flow.id]), (second, [made.made.flow.id])):
        assert await made.look() == [row.id]
        await made.open(row.id)
        await made.close(row.id, Status.SUCCEEDED)
        assert made.told.queues == told


@pytest.mark.parametrize(
    ("table", "stop", "go"),
    [
        (InstanceFlowRow, {"queue_paused": True}, {"queue_paused": False}),
        (InstanceRow, {"enabled": False}, {"enabled": True}),
        (InstanceRow, {"suspended_at": utcnow()}, {"suspended_at": None}),
    ],
)
async def test_nothing_begins_while_it_is_paused(
    kit: Kit, table: Any, stop: dict[str, Any], go: dict[str, Any]
) -> None:
    made = await queue(kit, mode="sequential")
    row = await made.accept()
    paused = made.made.flow.id if table is InstanceFlowRow else made.made.instance.id
    await made.set(table, paused, **stop)
    assert await made.look() == []
    async with kit.database.snapshot() as session:
        assert await Queues(session).with_waiting("", 10) == []
    await made.set(table, paused, **go)
    async with kit.database.snapshot() as session:
        told = await Queues(session).with_waiting("", 10)
    assert told == [QueueOf(made.made.flow.id, made.made.instance.id, made.made.customer.id)]
    assert await made.look() == [row.id]


async def test_a_flow_that_is_parallel_again_lets_everything_out(kit: Kit) -> None:
    made = await queue(kit, mode="sequential")
    rows = [await made.accept() for _ in range(3)]
    await made.set(InstanceFlowRow, made.made.flow.id, concurrency=None)
    assert await made.look() == [row.id for row in rows]


async def test_one_that_stepped_aside_waits_at_its_old_place(kit: Kit) -> None:
    made = await queue(kit, mode="sequential")
    first, second, third = [await made.accept() for _ in range(3)]
    await made.look()
    await made.open(first.id)
    await made.close(first.id, Status.RETRYING)
    assert await made.look() == [second.id]
    await made.open(second.id)
    assert not await made.open(first.id)
    row = await kit.execution(first.id)
    assert (row.status, row.reason, row.attempt) == (Status.QUEUED, QUEUED_BEHIND, 1)
    await made.close(second.id, Status.SUCCEEDED)
    assert await made.look() == [first.id]
    assert await made.open(first.id)
    assert (await kit.execution(first.id)).attempt == 2
    await made.close(first.id, Status.SUCCEEDED)
    assert await made.look() == [third.id]


async def test_what_is_cleared_has_ended(kit: Kit) -> None:
    made = await queue(kit, mode="sequential")
    first, second = await made.accept(), await made.accept()
    await made.look()
    async with kit.database.transaction() as session:
        canceled = await Queues(session).cancel_waiting(made.made.flow.id, 10, utcnow())
    assert [row.id for row in canceled] == [second.id]
    assert ((await kit.execution(second.id)).status, (await kit.execution(first.id)).status) == ("canceled", "queued")
