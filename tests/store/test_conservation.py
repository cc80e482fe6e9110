from datetime import datetime
from itertools import count
from typing import Any

import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import Status
from domain.ids import first_id
from store.conservation import Books, Conservation
from store.engine import Database
from store.executions import Acceptance, Executions
from store.removal import Removal
from store.tables import ExecutionRow, ExecutionTagRow, PayloadRow
from store.usage import HOUR
from tests.factories import NOW, Deployed, deployed, execution

HOUR_OF_NOW = NOW.replace(minute=0, second=0)
RANGE = (HOUR_OF_NOW, HOUR_OF_NOW + HOUR)
ENDED: dict[str, Any] = {"status": Status.SUCCEEDED}
WATCHED: dict[str, Any] = {"handed_over_at": NOW, "check_after": NOW}
_numbers = count()


async def accepted(session: AsyncSession, made: Deployed, **given: Any) -> str:
    at = given.get("queued_at", NOW)
    row = execution(made.instance, made.flow, id=first_id("exec", at)[:-4] + f"{next(_numbers):04d}", **given)
    row.payload_id = row.payload_id or row.id
    payload = PayloadRow(id=row.id, instance_id=made.instance.id, head=b"", body=b"", created_at=row.queued_at)
    await Executions(session).accept(Acceptance(row, payload if row.payload_id == row.id else None, {"a": "b"}))
    return row.id


async def books(session: AsyncSession, **given: Any) -> Books:
    """Of the one customer and hour that there is."""
    found = await Conservation(session).books(*RANGE, **given)
    [only] = found.values()
    return only


def sides(found: Books) -> tuple[int, int, int, int, int]:
    return found.accepted, found.ended, found.in_flight, found.held, found.imbalance


async def test_every_execution_is_on_one_side(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        for status in (Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.SKIPPED):
            await accepted(session, made, status=status)
        await accepted(session, made)  # not handed over yet
        await accepted(session, made, status=Status.RUNNING, **WATCHED)
        await accepted(session, made, status=Status.RETRYING, **WATCHED)
        await accepted(session, made, held=0)
        await accepted(session, made, queue_key="")
        await accepted(session, made, queue_key="", **WATCHED)  # it has a slot
        assert sides(await books(session)) == (10, 4, 4, 2, 0)


@pytest.mark.parametrize(
    "given",
    [
        {"status": Status.RUNNING, "handed_over_at": NOW},
        {"status": Status.SUCCEEDED, "ended_at": None},
        {"status": Status.RUNNING, "ended_at": NOW},
    ],
    ids=["nobody looks after it", "ended without an end", "an end without having ended"],
)
async def test_execution_that_is_astray_unbalances_the_books(database: Database, given: dict[str, Any]) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        await accepted(session, made, **ENDED)
        await accepted(session, made, **given)
        assert (await books(session)).imbalance == 1


async def vanish(session: AsyncSession, execution_id: str) -> None:
    await session.execute(delete(ExecutionTagRow).where(ExecutionTagRow.execution_id == execution_id))
    await session.execute(delete(ExecutionRow).where(ExecutionRow.id == execution_id))


async def test_payload_without_an_execution_unbalances_the_books(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        original = await accepted(session, made, **ENDED)
        await accepted(session, made, payload_id=original, replay_of=original, **ENDED)
        lost = await accepted(session, made, **ENDED)
        await vanish(session, lost)
        assert sides(await books(session)) == (3, 2, 0, 0, 1)
        # A replay keeps the payload of an original that was removed.
        await Removal(session).executions([original], [original])
        assert sides(await books(session)) == (3, 2, 0, 0, 1)


async def test_books_of_a_settled_hour_remember_what_was_accepted(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        ids = [await accepted(session, made, **ENDED) for _ in range(4)]
        ledger = Conservation(session)
        await ledger.settle([HOUR_OF_NOW], await ledger.books(*RANGE), NOW)
        await Removal(session).executions(ids[:1], ids[:1])
        found = await books(session)
        assert sides(found) == (4, 4, 0, 0, 0)
        assert found.removed == 1
        await vanish(session, ids[1])
        await session.execute(delete(PayloadRow).where(PayloadRow.id == ids[1]))
        assert sides(await books(session)) == (4, 3, 0, 0, 1)
        for _ in range(2):
            await accepted(session, made, **ENDED)
        assert (await books(session)).imbalance == -1


async def test_nothing_may_come_to_an_hour_that_was_settled_empty(database: Database) -> None:
    async with database.transaction() as session:
        await Conservation(session).settle([HOUR_OF_NOW], {}, NOW)
        await accepted(session, await deployed(session), **ENDED)
        assert (await books(session)).imbalance == -1


async def test_books_are_kept_by_customer_and_hour(database: Database) -> None:
    async with database.transaction() as session:
        made, other = await deployed(session), await deployed(session)
        await accepted(session, made, **ENDED)
        later: datetime = NOW + HOUR
        await accepted(session, made, queued_at=later, updated_at=later, **ENDED)
        await accepted(session, other, **ENDED)
        ledger = Conservation(session)
        assert set(await ledger.books(HOUR_OF_NOW, HOUR_OF_NOW + 2 * HOUR)) == {
            (HOUR_OF_NOW, made.customer.id),
            (HOUR_OF_NOW + HOUR, made.customer.id),
            (HOUR_OF_NOW, other.customer.id),
        }
        assert set(await ledger.books(*RANGE, [other.customer.id])) == {(HOUR_OF_NOW, other.customer.id)}


async def test_imbalance_is_noted_until_it_is_mended(database: Database) -> None:
    async with database.transaction() as session:
        made, ledger = await deployed(session), Conservation(session)
        execution_id = await accepted(session, made, status=Status.RUNNING, handed_over_at=NOW)
        await ledger.note(*RANGE, await ledger.books(*RANGE))
        assert await ledger.imbalance() == 1
        await Executions(session).change(execution_id, {"check_after": NOW})
        await ledger.note(HOUR_OF_NOW + HOUR, HOUR_OF_NOW + 2 * HOUR, {})
        assert await ledger.imbalance() == 1
        await ledger.note(*RANGE, await ledger.books(*RANGE))
        assert await ledger.imbalance() == 0
