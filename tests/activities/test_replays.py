"""Replays of many executions, in the ledger: who is replayed, who is left as it was, and when it is stopped."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from domain.executions import Status
from domain.messages import Failure, JobEnd
from domain.upgrades import Wish
from runtime.clock import utcnow
from store.executions import ExecutionFilter
from store.replays import Replays
from store.tables import EventRow, ExecutionRow, InstanceRow, JobRow, PayloadRow
from tests.activities.bulk import Bulk
from tests.activities.kit import Kit, definition
from tests.factories import NOW, Deployed, an_id, instance_flow, save

FAILED = {"status": Status.FAILED, "error": {"code": "http_status", "message": "500"}}
LATER = timedelta(hours=1)
LONG_AFTER = NOW + timedelta(days=4000)


@pytest.fixture
def bulk(kit: Kit) -> Bulk:
    return Bulk(kit)


async def failed(kit: Kit, made: Deployed | None = None, **given: Any) -> ExecutionRow:
    return await kit.accepted(made or await kit.made(definition({})), **FAILED | given)


async def replays_of(kit: Kit) -> list[ExecutionRow]:
    return [row for row in await kit.rows(ExecutionRow) if row.replay_of]


async def test_failed_execution_is_replayed_with_its_payload(bulk: Bulk, kit: Kit) -> None:
    made = await kit.made(definition({}))
    payload = PayloadRow(id=an_id("pay"), instance_id=made.instance.id, head=b"", body=b"", created_at=NOW)
    async with kit.database.transaction() as session:
        await save(session, payload)
    original = await failed(kit, made, payload_id=payload.id, payload_size=7, tags={"order": "7"})
    replay_id = await bulk.ask()
    progress = await bulk.turn(replay_id)
    assert (progress.position, progress.all_begun, progress.over) == (1, True, False)
    [item] = await bulk.items(replay_id)
    replay = await kit.execution(item.replayed_as or "")
    assert (replay.replay_of, replay.payload_id, replay.payload_size) == (original.id, payload.id, 7)
    assert (replay.tags, replay.status, bulk.starter.started) == ({"order": "7"}, Status.QUEUED, [replay.id])
    events = {event.action: event.details for event in await kit.rows(EventRow)}
    assert events["execution.replayed"] == {"replay": replay.id, "replay_id": replay_id}


async def test_customers_take_turns_each_with_its_oldest_first(bulk: Bulk, kit: Kit) -> None:
    loud, quiet = await kit.made(definition({})), await kit.made(definition({}))
    of_loud = [await failed(kit, loud) for _ in range(3)]
    of_quiet = [await failed(kit, quiet) for _ in range(2)]
    replay_id = await bulk.ask()
    order = [of_loud[0], of_quiet[0], of_loud[1], of_quiet[1], of_loud[2]]
    assert [item.execution_id for item in await bulk.items(replay_id)] == [row.id for row in order]
    await failed(kit, quiet)  # has come too late
    assert len(await bulk.items(replay_id)) == 5


async def test_turn_repeated_replays_nothing_twice(bulk: Bulk, kit: Kit) -> None:
    made = await kit.made(definition({}))
    for _ in range(3):
        await failed(kit, made)
    replay_id = await bulk.ask(rate_per_second=2.0)
    first, again = await bulk.turn(replay_id), await bulk.turn(replay_id)
    assert (first.position, first.all_begun, again.position, again.all_begun) == (2, False, 3, True)
    replays = await replays_of(kit)
    assert len({row.replay_of for row in replays}) == len(replays) == 3


async def test_job_is_over_when_the_last_replay_has_ended(bulk: Bulk, kit: Kit) -> None:
    made = await kit.made(definition({}))
    for _ in range(3):
        await failed(kit, made)
    replay_id = await bulk.ask()
    await bulk.turn(replay_id)
    first, second, third = await bulk.items(replay_id)
    await bulk.set(first.replayed_as, status=Status.SUCCEEDED, ended_at=utcnow())
    await bulk.set(second.replayed_as, **FAILED)
    await bulk.set(third.replayed_as, status=Status.RETRYING)
    assert not (await bulk.turn(replay_id, 3)).over
    async with kit.database.snapshot() as session:
        assert (await session.get_one(JobRow, replay_id)).done == 2
    await bulk.set(third.replayed_as, status=Status.CANCELED)
    assert (await bulk.turn(replay_id, 3)).over
    assert await bulk.became(replay_id) == [("succeeded", None), ("failed", None), ("skipped", "canceled")]
    await bulk.activities.end_replay(JobEnd(replay_id, "succeeded"))
    async with kit.database.snapshot() as session:
        ended = await session.get_one(JobRow, replay_id)
    assert (ended.state, ended.done, ended.failed) == ("succeeded", 3, 1)
    assert ended.result == {"pending": 0, "started": 0, "succeeded": 1, "failed": 1, "skipped": 1}


async def test_outcomes_are_told_before_anybody_has_written_them_down(bulk: Bulk, kit: Kit) -> None:
    await failed(kit)
    replay_id = await bulk.ask()
    await bulk.turn(replay_id)
    [item] = await bulk.items(replay_id)
    await bulk.set(item.replayed_as, status=Status.SUCCEEDED)
    async with kit.database.snapshot() as session:
        counts = await Replays(session).counts(replay_id)
    assert (counts["started"], counts["succeeded"]) == (0, 1)


@pytest.mark.parametrize(
    ("of_replay", "reason"),
    [
        ({"status": Status.SUCCEEDED, "ended_at": LONG_AFTER}, "resolved"),
        ({"status": Status.RUNNING}, "being_replayed"),
        ({"status": Status.FAILED, "queued_at": LONG_AFTER}, "replayed_meanwhile"),
        ({"status": Status.FAILED}, None),
        ({"status": Status.SUCCEEDED, "ended_at": NOW}, None),  # it was asked for all the same
    ],
)
async def test_what_has_been_done_about_it_since(
    bulk: Bulk, kit: Kit, of_replay: dict[str, Any], reason: str | None
) -> None:
    made = await kit.made(definition({}))
    original = await failed(kit, made)
    between = await failed(kit, made, replay_of=original.id)
    replay_id = await bulk.ask(created_at=NOW + LATER)
    await kit.accepted(made, replay_of=between.id, **of_replay)
    await bulk.turn(replay_id)
    assert await bulk.became(replay_id) == [("skipped", reason) if reason else ("started", None)]


async def test_execution_that_has_not_ended_is_left_alone(bulk: Bulk, kit: Kit) -> None:
    running = await kit.accepted(await kit.made(definition({})), status=Status.RETRYING)
    replay_id = await bulk.ask(ExecutionFilter(instance_ids=[running.instance_id]))
    await bulk.turn(replay_id)
    assert await bulk.became(replay_id) == [("skipped", "not_ended")]


@pytest.mark.parametrize(
    ("of_instance", "reason"),
    [
        ({"suspended_at": NOW}, "instance_suspended"),
        ({"deployment_id": None}, "instance_not_deployed"),
        ({"deleting": True}, "state_conflict"),
    ],
)
async def test_execution_that_cannot_be_replayed_says_why(
    bulk: Bulk, kit: Kit, of_instance: dict[str, Any], reason: str
) -> None:
    row = await failed(kit)
    replay_id = await bulk.ask()
    async with kit.database.transaction() as session:
        await session.execute(update(InstanceRow).where(InstanceRow.id == row.instance_id).values(**of_instance))
    await bulk.turn(replay_id)
    assert await bulk.became(replay_id) == [("skipped", reason)]


async def test_expired_payload_is_nothing_to_replay(bulk: Bulk, kit: Kit) -> None:
    await failed(kit, payload_id="pay_gone", payload_size=7)
    replay_id = await bulk.ask()
    await bulk.turn(replay_id)
    assert await bulk.became(replay_id) == [("skipped", "payload_expired")]


async def test_deleted_executions_hold_nothing_up(bulk: Bulk, kit: Kit) -> None:
    made = await kit.made(definition({}))
    gone, kept = await failed(kit, made), await failed(kit, made)
    replay_id = await bulk.ask()
    await bulk.remove(gone.id)
    await bulk.turn(replay_id)
    first, second = await bulk.items(replay_id)
    assert (first.reason, second.execution_id, second.status) == ("deleted", kept.id, "started")
    await bulk.remove(second.replayed_as)
    assert (await bulk.turn(replay_id, 2)).over


async def test_only_one_of_two_at_once_touches_an_execution(bulk: Bulk, kit: Kit) -> None:
    made = await kit.made(definition({}))
    for _ in range(5):
        await failed(kit, made)
    ids = [await bulk.ask() for _ in range(2)]
    await asyncio.gather(*(bulk.turn(replay_id) for replay_id in ids))
    became = [await bulk.became(replay_id) for replay_id in ids]
    for one, other in zip(*became, strict=True):
        assert {one, other} == {("started", None), ("skipped", "being_replayed")}
    assert len(await replays_of(kit)) == 5


async def test_from_the_failed_step_is_for_what_has_failed(bulk: Bulk, kit: Kit) -> None:
    made = await kit.made(definition({}))
    rows = [await failed(kit, made), await kit.accepted(made, status=Status.CANCELED)]
    replay_id = await bulk.ask(ExecutionFilter(instance_ids=[made.instance.id]), from_failed_step=True)
    await bulk.turn(replay_id)
    replays = [await kit.execution(item.replayed_as or "") for item in await bulk.items(replay_id)]
    assert [replay.resume_from for replay in replays] == [rows[0].id, None]


async def test_too_many_failures_stop_it(bulk: Bulk, kit: Kit) -> None:
    made = await kit.made(definition({}))
    for _ in range(6):
        await failed(kit, made)
    replay_id = await bulk.ask(rate_per_second=2.0, stop_at_failure_percent=50.0, min_ended=2)
    position = (await bulk.turn(replay_id)).position
    first, second, *_ = await bulk.items(replay_id)
    await bulk.set(first.replayed_as, **FAILED)
    assert (await bulk.turn(replay_id, position)).stopped is None  # one decides nothing
    await bulk.set(second.replayed_as, **FAILED)
    progress = await bulk.turn(replay_id, 4)
    message = "2 of 2 replays failed (100 %, more than 50 %)"
    assert progress.position == 4
    assert progress.stopped == Failure("failure_rate_exceeded", message, details={"ended": 2, "failed": 2})
    await bulk.activities.end_replay(JobEnd(replay_id, "failed", progress.stopped))
    assert (await bulk.became(replay_id))[4:] == [("skipped", "stopped")] * 2


@pytest.mark.parametrize("wish", [Wish.PAUSE, Wish.ABORT])
async def test_nothing_begins_while_people_want_something_else(bulk: Bulk, kit: Kit, wish: Wish) -> None:
    await failed(kit)
    replay_id = await bulk.ask(wish=wish)
    progress = await bulk.turn(replay_id)
    assert (progress.wish, progress.position, progress.over) == (wish, 0, False)
    await bulk.activities.end_replay(JobEnd(replay_id, "aborted"))
    assert await bulk.became(replay_id) == [("skipped", "aborted")]
    assert not (await bulk.activities.begin_replay(replay_id)).proceed


async def test_filter_is_that_of_the_list(bulk: Bulk, kit: Kit) -> None:
    made = await kit.made(definition({}, {"key": "other"}))
    other = instance_flow(made.instance, "other", 1)
    async with kit.database.transaction() as session:
        await save(session, other)
    await failed(kit, made)
    of_other = Deployed(made.customer, made.integration, made.version, made.instance, made.deployment, other)
    wanted = await failed(kit, of_other)
    replay_id = await bulk.ask(ExecutionFilter(flow_ids=[other.id], unresolved=True))
    assert [item.execution_id for item in await bulk.items(replay_id)] == [wanted.id]


async def test_full_queue_is_waited_for(bulk: Bulk, kit: Kit) -> None:
    made = await kit.made(definition({"concurrency": {"mode": "sequential", "max_length": 1}}))
    for _ in range(2):
        await failed(kit, made, queue_key="7")
    replay_id = await bulk.ask()
    assert (await bulk.turn(replay_id)).position == 1
    assert (await bulk.turn(replay_id, 1)).position == 1
    [first, second] = await bulk.items(replay_id)
    assert (await kit.execution(first.replayed_as or "")).queue_key == "7"
    await bulk.set(first.replayed_as, status=Status.SUCCEEDED, ended_at=utcnow(), handed_over_at=utcnow())
    assert (await bulk.turn(replay_id, 1)).position == 2
    assert second.replayed_as is None
