from datetime import datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from store.engine import Database
from store.idempotency import IdempotencyRecords
from store.tables import IdempotencyRow
from tests.factories import NOW

KEY = ("key_1", "POST", "/v1/customers", "abc")


def record(created_at: datetime = NOW, key: str = "abc") -> IdempotencyRow:
    return IdempotencyRow(
        principal="key_1", method="POST", path="/v1/customers", key=key, fingerprint="f", created_at=created_at
    )


async def add(database: Database, row: IdempotencyRow) -> None:
    async with database.transaction() as session:
        await IdempotencyRecords(session).add(row)


async def test_record_begun_and_finished(database: Database) -> None:
    await add(database, record())
    async with database.transaction() as session:
        records = IdempotencyRecords(session)
        begun = await records.find(*KEY)
        assert begun is not None
        assert begun.status is None
        await records.finish(*KEY, status=201, answer=b"answer")
    async with database.snapshot() as session:
        finished = await IdempotencyRecords(session).find(*KEY)
        assert finished is not None
        assert (finished.status, finished.answer) == (201, b"answer")
        assert await IdempotencyRecords(session).find("key_2", *KEY[1:]) is None


async def test_second_request_with_the_key_is_refused(database: Database) -> None:
    await add(database, record())
    with pytest.raises(IntegrityError):
        await add(database, record())


async def test_deleted_key_is_free_again(database: Database) -> None:
    await add(database, record())
    async with database.transaction() as session:
        await IdempotencyRecords(session).delete(*KEY)
    await add(database, record())


async def test_purge_takes_the_old_ones(database: Database) -> None:
    await add(database, record())
    await add(database, record(NOW + timedelta(hours=1), key="later"))
    async with database.transaction() as session:
        assert await IdempotencyRecords(session).purge(NOW + timedelta(minutes=1)) == 1
        assert await IdempotencyRecords(session).find(*KEY[:3], "later") is not None
