from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import Status
from domain.retention import Cutoffs
from store.engine import Database
from store.executions import Acceptance, Executions
from store.retention import Batch, Expired
from store.tables import (
    Base,
    BlobRow,
    ExecutionRow,
    ExecutionTagRow,
    LogRow,
    PayloadRow,
    RemovedRow,
    StepRow,
)
from tests.factories import NOW, Deployed, an_id, deployed, execution, save

DAY = timedelta(days=1)
CUTOFFS = Cutoffs(usual=NOW - 14 * DAY, unresolved=NOW - 30 * DAY)
OLD, OLDER = NOW - 20 * DAY, NOW - 40 * DAY
OF_EXECUTIONS: list[tuple[type[Base], str]] = [(row, "execution_id") for row in (StepRow, LogRow, ExecutionTagRow)]
OF_EXECUTIONS += [(PayloadRow, "id"), (BlobRow, "workflow_id")]


async def accepted(session: AsyncSession, made: Deployed, at: Any = OLD, **given: Any) -> ExecutionRow:
    """With everything that belongs to it. Succeeded at `at`, unless told otherwise."""
    defaults: dict[str, Any] = {"status": Status.SUCCEEDED, "queued_at": at}
    row = execution(made.instance, made.flow, **defaults | given)
    if row.status in (Status.SUCCEEDED, Status.FAILED):
        row.ended_at = at
    payload = None
    if row.payload_id is None:
        row.payload_id = row.id
        payload = PayloadRow(id=row.id, instance_id=made.instance.id, head=b"", body=b"b", created_at=at)
    await Executions(session).accept(Acceptance(row, payload, {"order": "7"}))
    await save(session, step(row), line(row), BlobRow(id=an_id("blob"), workflow_id=row.id, data=b"", created_at=at))
    return row


def step(row: ExecutionRow, **given: Any) -> StepRow:
    defaults: dict[str, Any] = {"execution_id": row.id, "attempt": 1, "path": "say", "key": "say", "name": "Say"}
    defaults |= {"component": "log", "action": "write", "position": 1, "iteration": [], "status": "succeeded"}
    return StepRow(**defaults | {"started_at": NOW, "inputs": b"in", "output": b"out", "output_size": 3} | given)


def line(row: ExecutionRow | None, **given: Any) -> LogRow:
    defaults = {"id": an_id("log"), "timestamp": OLD, "severity": 2, "message": "m", "type": "execution"}
    return LogRow(**defaults | {"execution_id": row.id if row is not None else None} | given)


async def left(session: AsyncSession, table: type[Base], column: str) -> set[Any]:
    return set(await session.scalars(select(getattr(table, column))))


async def all_batches(remove: Any, cutoffs: Cutoffs = CUTOFFS, limit: int = 2, *more: Any) -> list[Batch]:
    batches, after = [], ""
    while True:
        batches.append(batch := await remove(cutoffs, after, limit, *more))
        if batch.after is None:
            return batches
        after = batch.after


def removed(batches: Sequence[Batch]) -> int:
    return sum(batch.removed for batch in batches)


async def test_what_is_over_goes_with_everything_in_batches(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        for _ in range(5):
            await accepted(session, made)
        young = await accepted(session, made, NOW - DAY)
        batches = await all_batches(Expired(session).remove_executions)
        assert [batch.removed for batch in batches] == [2, 2, 1, 0]
        assert await left(session, ExecutionRow, "id") == {young.id}
        for table, column in OF_EXECUTIONS:
            assert await left(session, table, column) == {young.id}


@pytest.mark.parametrize(
    "given",
    [
        {"status": Status.QUEUED},
        {"status": Status.QUEUED, "held": 0},
        {"status": Status.RUNNING},
        {"status": Status.RETRYING, "next_attempt_at": NOW + DAY},
        {"status": Status.FAILED},
    ],
    ids=["queued", "held", "running", "retrying", "unresolved"],
)
async def test_what_is_not_over_is_never_touched(database: Database, given: dict[str, Any]) -> None:
    async with database.transaction() as session:
        row = await accepted(session, await deployed(session), **given)
        expired = Expired(session)
        batches = [
            *await all_batches(expired.remove_executions),
            *await all_batches(expired.remove_payloads),
            *await all_batches(expired.remove_step_values, CUTOFFS, 2, NOW),
            *await all_batches(expired.remove_logs),
        ]
        assert removed(batches) == 0
        assert await left(session, StepRow, "output") == {b"out"}
        assert await left(session, LogRow, "execution_id") == {row.id}


async def test_failures_go_early_once_resolved_and_late_else(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        await accepted(session, made, OLD, status=Status.FAILED, resolved_at=NOW)
        await accepted(session, made, OLDER, status=Status.FAILED)
        kept = await accepted(session, made, OLD, status=Status.FAILED)
        assert removed(await all_batches(Expired(session).remove_executions)) == 2
        assert await left(session, ExecutionRow, "id") == {kept.id}


async def test_payload_lives_as_long_as_the_longest_that_shares_it(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        original = await accepted(session, made)
        replay = await accepted(
            session, made, NOW - DAY, payload_id=original.id, replay_of=original.id, root_id=original.id
        )
        alone = await accepted(session, made)
        expired = Expired(session)
        assert removed(await all_batches(expired.remove_payloads)) == 1
        assert await left(session, PayloadRow, "id") == {original.id}
        assert await session.get(PayloadRow, alone.id) is None
        await all_batches(expired.remove_executions)
        assert await left(session, ExecutionRow, "id") == {replay.id}
        assert await left(session, PayloadRow, "id") == {original.id}
        assert [end.ended_at for end in (await expired.sharers([original.id]))[original.id]] == [NOW - DAY]
        later = Cutoffs(NOW, NOW)
        assert removed(await all_batches(expired.remove_executions, later)) == 1
        assert await left(session, PayloadRow, "id") == set()


async def test_step_values_go_and_their_records_stay(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        old = [await accepted(session, made, OLD + number * DAY / 24) for number in range(5)]
        await accepted(session, made, OLDER + DAY, status=Status.FAILED)  # past both cutoffs
        young = await accepted(session, made, NOW - DAY)
        batches = await all_batches(Expired(session).remove_step_values, CUTOFFS, 2, NOW)
        assert removed(batches) == 6
        rows = {row.execution_id: row for row in await session.scalars(select(StepRow))}
    assert len(rows) == 7
    assert (rows[young.id].inputs, rows[young.id].output) == (b"in", b"out")
    assert {(rows[row.id].inputs, rows[row.id].output, rows[row.id].output_size) for row in old} == {(None, None, 3)}
    async with database.snapshot() as session:
        found = await session.get_one(ExecutionRow, old[0].id)
        assert found.step_values_removed_at == NOW


async def test_what_an_open_replay_takes_over_stays(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        original = await accepted(session, made, OLDER, status=Status.FAILED)
        replay = execution(
            made.instance, made.flow, status=Status.RUNNING, replay_of=original.id, resume_from=original.id
        )
        await Executions(session).accept(Acceptance(replay))
        expired = Expired(session)
        assert removed(await all_batches(expired.remove_step_values, CUTOFFS, 2, NOW)) == 0
        assert removed(await all_batches(expired.remove_executions)) == 0
        await Executions(session).change(replay.id, {"status": Status.SUCCEEDED, "ended_at": NOW})
        assert removed(await all_batches(expired.remove_executions)) == 1


async def test_lines_go_by_their_own_age(database: Database) -> None:
    cutoffs = Cutoffs(usual=NOW, unresolved=NOW - DAY)  # ids of the tests' are older
    async with database.transaction() as session:
        made = await deployed(session)
        ended = await accepted(session, made, NOW + DAY)
        unresolved = await accepted(session, made, NOW, status=Status.FAILED)
        management = line(None, type="management")
        recent = line(ended, id="log_7zzzzzzzzzzzzzzzzzzzzzzzzz")
        await save(session, management, recent)
        assert removed(await all_batches(Expired(session).remove_logs, cutoffs)) == 2
        assert await left(session, LogRow, "id") == {recent.id} | {
            row.id for row in await session.scalars(select(LogRow).where(LogRow.execution_id == unresolved.id))
        }


async def test_removed_executions_are_counted_as_they_go(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        first = await accepted(session, made)
        await save(session, step(first, path="kept", tries=0), step(first, path="again", tries=2))
        await accepted(session, made, status=Status.SUCCEEDED, is_test=True)
        await all_batches(Expired(session).remove_executions)
        rows = await session.scalars(select(RemovedRow))
        hour = OLD.replace(minute=0, second=0)
        assert {(row.customer_id, row.hour, row.kind): row.count for row in rows} == {
            (made.customer.id, hour, "accepted"): 2,
            (made.customer.id, hour, "succeeded"): 1,
            (made.customer.id, hour, "tests"): 1,
            (made.customer.id, hour, "steps"): 3,
        }


async def test_who_begins_a_replay_is_not_robbed_of_its_payload(postgres_database: Database) -> None:
    """It has locked the execution, and has seen that the payload is there."""
    database = postgres_database
    async with database.transaction() as session:
        row = await accepted(session, await deployed(session))
    async with database.transaction() as replaying:
        await replaying.get(ExecutionRow, row.id, with_for_update=True)
        async with database.transaction() as session:
            assert removed(await all_batches(Expired(session).remove_payloads)) == 0
            assert removed(await all_batches(Expired(session).remove_executions)) == 0
    async with database.transaction() as session:
        assert removed(await all_batches(Expired(session).remove_payloads)) == 1
