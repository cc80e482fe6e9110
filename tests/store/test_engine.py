import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from domain.errors import Unavailable
from store.engine import Database, violated
from store.tables import CustomerRow
from tests.factories import customer, integration, save, saved, version
from tests.fixtures.postgres import running_cluster


async def count_customers(database: Database) -> int:
    async with database.snapshot() as session:
        return await session.scalar(select(func.count()).select_from(CustomerRow)) or 0


async def test_transaction_commits_on_a_clean_exit(database: Database) -> None:
    await saved(database, customer())
    assert await count_customers(database) == 1


async def test_transaction_rolls_back_on_an_error(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as session:
            await save(session, customer())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await count_customers(database) == 0


async def test_transaction_rolls_back_when_cancelled(database: Database) -> None:
    written = asyncio.Event()

    async def write() -> None:
        async with database.transaction() as session:
            await save(session, customer())
            written.set()
            await asyncio.Event().wait()

    writing = asyncio.create_task(write())
    await written.wait()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await saved(database, customer())
    assert await count_customers(database) == 1


async def test_rows_stay_readable_after_the_commit(database: Database) -> None:
    row = customer(name="Acme")
    await saved(database, row)
    assert row.name == "Acme"


async def test_snapshot_sees_one_state(database: Database) -> None:
    async with database.snapshot() as session:
        counting = select(func.count()).select_from(CustomerRow)
        before = await session.scalar(counting)
        await saved(database, customer())
        assert await session.scalar(counting) == before == 0
    assert await count_customers(database) == 1


async def test_snapshot_refuses_writes(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
        async with database.snapshot() as session:
            await save(session, customer())


async def test_concurrent_sqlite_writers_serialise(sqlite_database: Database) -> None:
    async def add_one() -> None:
        async with sqlite_database.transaction() as session:
            seen = await session.scalar(select(func.count()).select_from(CustomerRow))
            await asyncio.sleep(0)
            await save(session, customer(name=f"number {seen}"))

    await asyncio.gather(*(add_one() for _ in range(20)))
    async with sqlite_database.snapshot() as session:
        names = set(await session.scalars(select(CustomerRow.name)))
    assert names == {f"number {n}" for n in range(20)}


async def test_two_sqlite_databases_wait_for_each_other(sqlite_database: Database) -> None:
    """Two processes of one installation: each has a connection that writes."""
    other = Database(sqlite_database.url)
    await asyncio.gather(*(saved(database, customer()) for database in [sqlite_database, other] * 5))
    await other.dispose()
    assert await count_customers(sqlite_database) == 10


async def test_sqlite_connections_are_durable_and_strict(sqlite_database: Database) -> None:
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    async with sqlite_database.transaction() as session:
        found = {name: await session.scalar(text(f"PRAGMA {name}")) for name in expected}
    assert found == expected


async def test_locked_sqlite_is_unavailable(sqlite_database: Database) -> None:
    async with sqlite_database.transaction() as session:
        await session.execute(text("PRAGMA busy_timeout = 10"))
    path = sqlite_database.url.removeprefix("sqlite+aiosqlite:///")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as caught:
        await saved(sqlite_database, customer())
    holder.close()
    assert caught.value.retry_after == 1
    await saved(sqlite_database, customer())
    assert await count_customers(sqlite_database) == 1


async def test_wrong_sql_is_not_unavailable(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.snapshot() as session:
            await session.execute(text("SELECT * FROM nowhere"))


async def test_sqlite_in_a_missing_directory_is_unavailable(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'absent' / 'flowgraft.db'}")
    with pytest.raises(Unavailable):
        await database.ping()
    await database.dispose()


async def test_ping_of_a_living_database(database: Database) -> None:
    await database.ping()


async def test_stopped_postgres_is_unavailable_until_it_is_back() -> None:
    with running_cluster() as cluster, cluster.clean_database() as url:
        database = Database(url)
        await saved(database, customer())
        cluster.stop()
        for _ in range(2):  # the connection that was lost, then a new one that is refused
            with pytest.raises(Unavailable):
                await database.ping()
        cluster.start()
        await database.ping()
        assert await count_customers(database) == 1
        await database.dispose()


async def test_postgres_deadlock_is_unavailable(postgres_database: Database) -> None:
    rows = [customer(), customer()]
    await saved(postgres_database, *rows)
    both_hold = asyncio.Barrier(2)

    async def lock(first: str, second: str) -> None:
        async with postgres_database.transaction() as session:
            await session.get(CustomerRow, first, with_for_update=True)
            await both_hold.wait()
            await session.get(CustomerRow, second, with_for_update=True)

    ids = rows[0].id, rows[1].id
    ends = await asyncio.gather(lock(*ids), lock(*reversed(ids)), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [Unavailable]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (lambda: customer(id="cust_1"), lambda: customer(id="cust_1"), "customers.id"),
        (lambda: customer(name="Acme"), lambda: customer(name="Acme"), "customers.name"),
        (lambda: customer(external_id="1"), lambda: customer(external_id="1"), "customers.external_id"),
        (customer, lambda: customer(name=None), "customers.name"),
    ],
)
async def test_violated_names_table_and_column(
    database: Database, first: object, second: object, expected: str
) -> None:
    assert callable(first)
    assert callable(second)
    await saved(database, first())
    with pytest.raises(IntegrityError) as caught:
        await saved(database, second())
    assert violated(caught.value) == expected


async def test_violated_names_all_columns(database: Database) -> None:
    offered = integration()
    await saved(database, offered, version(offered, 1))
    with pytest.raises(IntegrityError) as caught:
        await saved(database, version(offered, 1))
    assert violated(caught.value) == "versions.integration_id,number"


async def test_violated_foreign_key_has_no_name(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught:
        await saved(database, version(integration(id="intg_absent")))
    assert violated(caught.value) == ""


@pytest.mark.parametrize(
    "url", ["mysql://localhost/x", "sqlite:///x.db", "postgresql://localhost/x", "sqlite+aiosqlite:///:memory:"]
)
def test_unsupported_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite\+aiosqlite:///"):
        Database(url)
