import asyncio

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError

from domain.errors import Unavailable
from store.engine import Database
from store.tables import CustomerRow
from tests.factories import customer, save, saved


async def names(database: Database) -> set[str]:
    async with database.snapshot() as session:
        return set(await session.scalars(select(CustomerRow.name)))


async def add(database: Database, name: str, *more: str) -> None:
    """A transaction; `more` are statements after the row is there."""
    async with database.transaction() as session:
        await save(session, customer(name=name))
        for statement in more:
            await session.execute(text(statement))


async def test_who_stood_in_line_shares_one_commit(sqlite_database: Database) -> None:
    commits: list[object] = []
    event.listen(sqlite_database.engines.writer.sync_engine, "commit", commits.append)
    await asyncio.gather(*(add(sqlite_database, f"number {number}") for number in range(20)))
    assert len(await names(sqlite_database)) == 20
    assert len(commits) <= 2  # the first one's, perhaps, and that of all others


async def test_an_error_undoes_its_own_turn_only(sqlite_database: Database) -> None:
    wrong = add(sqlite_database, "wrong", "SELECT * FROM nowhere")
    ends = await asyncio.gather(
        add(sqlite_database, "first"), wrong, add(sqlite_database, "last"), return_exceptions=True
    )
    assert [end is None for end in ends] == [True, False, True]
    assert await names(sqlite_database) == {"first", "last"}


async def test_when_all_is_undone_nobody_is_told_that_it_is_written(sqlite_database: Database) -> None:
    """As a full disk undoes it: behind everybody's back."""
    lost = add(sqlite_database, "lost", "ROLLBACK")
    ends = await asyncio.gather(
        add(sqlite_database, "first"), lost, add(sqlite_database, "last"), return_exceptions=True
    )
    assert [type(end) for end in ends] == [Unavailable, OperationalError, Unavailable]
    assert await names(sqlite_database) == set()
    await add(sqlite_database, "next")
    assert await names(sqlite_database) == {"next"}


async def test_one_who_gives_up_in_line_holds_nobody(sqlite_database: Database) -> None:
    inside, leave = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with sqlite_database.transaction() as session:
            await save(session, customer(name="first"))
            inside.set()
            await leave.wait()

    holding = asyncio.create_task(hold())
    await inside.wait()
    waiting = asyncio.create_task(add(sqlite_database, "gave up"))
    await asyncio.sleep(0)
    waiting.cancel()
    leave.set()
    await holding
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await saved(sqlite_database, customer(name="last"))
    assert await names(sqlite_database) == {"first", "last"}
