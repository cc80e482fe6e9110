from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select

from store.dialect import contains_text, has_labels, insert_ignore, upsert
from store.engine import Database
from store.tables import BlobRow, CustomerRow
from tests.factories import NOW, customer, saved


def blob(blob_id: str, data: bytes) -> dict[str, object]:
    return {"id": blob_id, "workflow_id": "w", "data": data, "created_at": NOW}


async def data_of(database: Database) -> dict[str, bytes]:
    async with database.snapshot() as session:
        return {row.id: row.data for row in await session.scalars(select(BlobRow))}


async def test_insert_ignore_keeps_what_is_there(database: Database) -> None:
    async with database.transaction() as session:
        assert await insert_ignore(session, BlobRow, blob("a", b"1"), ["id"]) == 1
        assert await insert_ignore(session, BlobRow, blob("a", b"2"), ["id"]) == 0
    assert await data_of(database) == {"a": b"1"}


async def test_insert_ignore_of_many_counts_the_new(database: Database) -> None:
    async with database.transaction() as session:
        await insert_ignore(session, BlobRow, blob("a", b"1"), ["id"])
        assert await insert_ignore(session, BlobRow, [blob("a", b"2"), blob("b", b"2")], ["id"]) == 1
        assert await insert_ignore(session, BlobRow, [], ["id"]) == 0
    assert await data_of(database) == {"a": b"1", "b": b"2"}


async def test_insert_ignore_fills_defaults(database: Database) -> None:
    values = {"id": "cust_1", "name": "Acme", "labels": ["a"], "created_at": NOW, "updated_at": NOW}
    async with database.transaction() as session:
        await insert_ignore(session, CustomerRow, values, ["id"])
        row = await session.get_one(CustomerRow, "cust_1")
        assert (row.revision, row.show_all_instances, row.labels) == (1, False, ["a"])


async def test_upsert_changes_what_is_there(database: Database) -> None:
    async with database.transaction() as session:
        assert await upsert(session, BlobRow, blob("a", b"1"), ["id"]) == 1
        assert await upsert(session, BlobRow, blob("a", b"2"), ["id"]) == 1
    assert await data_of(database) == {"a": b"2"}


async def test_upsert_respects_its_condition(database: Database) -> None:
    async with database.transaction() as session:
        await upsert(session, BlobRow, blob("a", b"1"), ["id"])
        condition = BlobRow.workflow_id != "w"
        assert await upsert(session, BlobRow, blob("a", b"2"), ["id"], where=condition) == 0
    assert await data_of(database) == {"a": b"1"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("50%", ["50% off"]),
        ("a_b", ["a_b"]),
        ("ÄRGER", ["Kein Ärger"]),
        ("/", ["a/b"]),
        ("OFF", ["50% off"]),
        ("'", []),
    ],
)
async def test_contains_text_is_literal_and_ignores_case(database: Database, text: str, found: list[str]) -> None:
    await saved(database, *(customer(name=name) for name in ["50% off", "500", "a_b", "axb", "a/b", "Kein Ärger"]))
    async with database.snapshot() as session:
        names = await session.scalars(select(CustomerRow.name).where(contains_text(CustomerRow.name, text)))
        assert sorted(names) == found


@pytest.mark.parametrize(
    ("labels", "found"),
    [(["a"], ["both", "one"]), (["a", "b"], ["both"]), (["c"], []), (['"a"'], []), (["a%"], [])],
)
async def test_has_labels_wants_all_of_them(database: Database, labels: list[str], found: list[str]) -> None:
    rows = [customer(name="both", labels=["a", "b"]), customer(name="one", labels=["a"]), customer(name="none")]
    await saved(database, *rows)
    async with database.snapshot() as session:
        names = await session.scalars(
            select(CustomerRow.name).where(has_labels(session, CustomerRow.labels, labels)).order_by(CustomerRow.name)
        )
        assert list(names) == found


async def test_times_come_back_in_utc(database: Database) -> None:
    there = datetime(2026, 3, 1, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    await saved(database, customer(id="cust_1", created_at=there))
    async with database.snapshot() as session:
        row = await session.get_one(CustomerRow, "cust_1")
    assert row.created_at == there
    assert row.created_at.tzinfo is UTC
