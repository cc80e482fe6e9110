from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.ids import first_id, made_at
from runtime.clock import utcnow
from store.engine import Database
from store.log_search import MOST_FOUND, full_text_query
from store.logs import SETTLING, LogFilter, Logs, Span
from store.paging import Page, paged
from store.removal import Removal
from store.tables import LogRow
from tests.factories import NOW, Deployed, deployed, execution, save

LINES: list[dict[str, Any]] = [
    {"message": "Fetched 100% of ORDERS", "severity": 2, "type": "execution", "execution_id": "exec_1"},
    {"message": "Slow", "severity": 3, "type": "rate_limit", "execution_id": None},
    {"message": "Broken", "severity": 4, "type": "execution", "execution_id": "exec_2"},
]
MINUTE = timedelta(minutes=1)


def line(number: int, **of: Any) -> dict[str, Any]:
    """One a minute, as if each had been written at once."""
    at = NOW + number * MINUTE
    owners = {f"{name}_id": f"{name}_{number}" for name in ("customer", "instance", "instance_flow", "execution")}
    start = {
        "id": first_id("log", at),
        "timestamp": at,
        "severity": 2,
        "message": f"Line {number}",
        "type": "execution",
    }
    return start | {"step": f"lines[{number}].ship", "attempt": 1} | owners | of


async def messages(database: Database, wanted: LogFilter, **options: Any) -> list[str]:
    async with database.snapshot() as session:
        found = await Logs(session).list(wanted, Page(limit=10), **options)
    return [each.row.message for each in found]


async def write(database: Database, *lines: dict[str, Any]) -> None:
    async with database.transaction() as session:
        await Logs(session).add_many(lines)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LogFilter(), ["Broken", "Slow", "Fetched 100% of ORDERS"]),
        (LogFilter(q="100% of orders"), ["Fetched 100% of ORDERS"]),
        (LogFilter(q="100_"), []),
        (LogFilter(q="lo"), ["Slow"]),
        (LogFilter(severities=[2, 4]), ["Broken", "Fetched 100% of ORDERS"]),
        (LogFilter(severities=[4, 5]), ["Broken"]),
        (LogFilter(min_severity=3), ["Broken", "Slow"]),
        (LogFilter(min_severity=4), ["Broken"]),
        (LogFilter(after=NOW + MINUTE), ["Broken", "Slow"]),
        (LogFilter(before=NOW + MINUTE), ["Fetched 100% of ORDERS"]),
        (LogFilter(customer_ids=["customer_1"]), ["Slow"]),
        (LogFilter(instance_ids=["instance_0", "instance_2"]), ["Broken", "Fetched 100% of ORDERS"]),
        (LogFilter(flow_ids=["instance_flow_0", "instance_flow_2"]), ["Broken", "Fetched 100% of ORDERS"]),
        (LogFilter(execution_ids=["exec_1"]), ["Fetched 100% of ORDERS"]),
        (LogFilter(types=["rate_limit"]), ["Slow"]),
        (LogFilter(types=["rate_limit"], min_severity=4), []),
        (LogFilter(steps=["lines[2].ship"]), ["Broken"]),
        (LogFilter(is_test=False), ["Broken", "Slow", "Fetched 100% of ORDERS"]),
        (LogFilter(is_test=True), []),
    ],
)
async def test_logs_filtered(database: Database, wanted: LogFilter, found: list[str]) -> None:
    await write(database, *(line(number, **each) for number, each in enumerate(LINES)))
    assert await messages(database, wanted) == found


async def test_line_written_long_after_its_time_is_found_by_its_time(database: Database) -> None:
    """A step's lines are written when it has ended."""
    late = first_id("log", NOW + timedelta(hours=24))
    await write(database, line(0, id=late))
    assert await messages(database, LogFilter(before=NOW + MINUTE)) == ["Line 0"]
    assert await messages(database, LogFilter(after=NOW, before=NOW + MINUTE)) == ["Line 0"]


async def of_one_instance(database: Database) -> Deployed:
    """A test's line, another execution's and one of none."""
    async with database.transaction() as session:
        made = await deployed(session)
        owners = {"customer_id": made.customer.id, "instance_id": made.instance.id, "instance_flow_id": made.flow.id}
        tried, real = (execution(made.instance, made.flow, is_test=is_test) for is_test in (True, False))
        await save(session, tried, real)
        lines = (("Tried", tried.id), ("Real", real.id), ("Of none", None))
        numbered = enumerate(lines)
        await Logs(session).add_many(
            [line(number, message=message, execution_id=of, **owners) for number, (message, of) in numbered]
        )
    return made


async def test_lines_of_tests_are_told_apart(database: Database) -> None:
    await of_one_instance(database)
    assert await messages(database, LogFilter(is_test=True)) == ["Tried"]
    assert await messages(database, LogFilter(is_test=False)) == ["Of none", "Real"]
    async with database.snapshot() as session:
        found = await Logs(session).list(LogFilter(), Page(10))
    assert [each.is_test for each in found] == [False, False, True]


async def test_lines_of_one_flow(database: Database) -> None:
    made = await of_one_instance(database)
    await write(database, line(7))
    assert await messages(database, LogFilter(flow_ids=[made.flow.id])) == ["Of none", "Real", "Tried"]
    assert await messages(database, LogFilter(flow_ids=["flow_gone"])) == []


async def test_logs_paged_in_both_orders(database: Database) -> None:
    await write(database, *(line(number) for number in range(4)))
    async with database.snapshot() as session:
        logs = Logs(session)
        first = await logs.list(LogFilter(), Page(limit=1))
        rest = await logs.list(LogFilter(), Page(limit=5, after=first[0].id))
        oldest = await logs.list(LogFilter(), Page(limit=1), ascending=True)
        others = await logs.list(LogFilter(), Page(limit=5, after=oldest[0].id), ascending=True)
    assert [each.row.message for each in [*first, *rest]] == ["Line 3", "Line 2", "Line 2", "Line 1", "Line 0"]
    assert [each.row.message for each in [*oldest, *others]] == ["Line 0", "Line 1", "Line 1", "Line 2", "Line 3"]


async def test_logs_between_two_ids(database: Database) -> None:
    await write(database, *(line(number) for number in range(4)))
    between = Span(above=first_id("log", NOW), below=first_id("log", NOW + 3 * MINUTE))
    assert await messages(database, LogFilter(), span=between, ascending=True) == ["Line 1", "Line 2"]


async def test_lines_around_one(database: Database) -> None:
    await write(database, *(line(number, severity=2 + number % 2) for number in range(7)))

    async def around(number: int, count: int, wanted: LogFilter) -> list[str]:
        async with database.snapshot() as session:
            middle = await Logs(session).get(line(number)["id"])
            assert middle is not None
            return [each.row.message for each in await Logs(session).around(middle, wanted, count)]

    assert await around(3, 2, LogFilter()) == ["Line 5", "Line 4", "Line 3", "Line 2", "Line 1"]
    assert await around(0, 1, LogFilter()) == ["Line 1", "Line 0"]
    assert await around(3, 0, LogFilter()) == ["Line 3"]
    assert await around(2, 2, LogFilter(min_severity=3)) == ["Line 5", "Line 3", "Line 2", "Line 1"]


async def test_no_logs_to_add(database: Database) -> None:
    await write(database)
    assert await messages(database, LogFilter()) == []


# Text

SAID = [
    'Order "42" – 100% shipped; DROP TABLE logs',
    "Größe ÄNDERN: Straße",
    "ΔΙΑΓΡΑΦΗ ΠΑΡΑΓΓΕΛΙΑΣ",
    "ЗАКАЗ отправлен",
    "注文を発送しました",
    "ᲨᲔᲙᲕᲔᲗᲐ გაიგზავნა",
    "emoji 🎉🎉🎉 done",
    "ab",
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ('"42"', [0]),
        ("order", [0]),
        ("100% SHIPPED; drop", [0]),
        ("1000", []),
        ("größe ändern", [1]),
        ("STRASSE", []),
        ("διαγραφη", [2]),
        ("παραγγελια", [2]),
        ("заказ ОТПР", [3]),
        ("発送しま", [4]),
        ("発送", [4]),
        ("🎉🎉🎉", [6]),
        ("გაიგ", [5]),
        ("ab", [0, 7]),
        ('b" OR message:a*', []),
        ("*", []),
        ("   ", []),
    ],
)
async def test_text_is_found_in_any_case(database: Database, wanted: str, found: list[int]) -> None:
    await write(database, *(line(number, message=message) for number, message in enumerate(SAID)))
    assert sorted(await messages(database, LogFilter(q=wanted))) == sorted(SAID[number] for number in found)


async def test_every_foldable_letter_is_found_as_without_the_index(sqlite_database: Database) -> None:
    """FTS5 has a table of letters of its own; where it says less than Python's, the index must not be asked."""
    letters = [chr(code) for code in range(0xC0, 0x528) if chr(code).lower() != chr(code).upper()]
    asked = [letter for letter in letters if full_text_query(f"{letter}bc") and len(letter.upper()) == 1]
    assert len(asked) > 700
    await write(sqlite_database, *(line(number, message=f"{each.upper()}bc") for number, each in enumerate(asked)))
    missing = []
    async with sqlite_database.snapshot() as session:
        for each in asked:
            found = await Logs(session).list(LogFilter(q=f"{each.lower()}BC"), Page(1))
            if each.upper().lower() == each.lower() and not found:
                missing.append(each)
    assert missing == []


def test_text_that_the_index_cannot_answer() -> None:
    assert [full_text_query(each) for each in ("ab", "", "ᲨᲔᲙ", "İst")] == [None] * 4
    assert full_text_query('a"bc') == '"a""b" AND """bc"'


async def test_common_text_is_found_newest_first(database: Database) -> None:
    common = [line(number, message=f"Common {number}") for number in range(MOST_FOUND + 20)]
    await write(database, *common)
    assert (await messages(database, LogFilter(q="common")))[0] == f"Common {MOST_FOUND + 19}"
    assert await messages(database, LogFilter(q="common 17", instance_ids=["instance_17"])) == ["Common 17"]


async def test_line_that_is_gone_is_not_found(database: Database) -> None:
    await write(database, line(0, execution_id="exec_gone"), line(1))
    async with database.transaction() as session:
        await Removal(session).executions(["exec_gone"], [])
    await write(database, line(2))
    assert await messages(database, LogFilter(q="line")) == ["Line 2", "Line 1"]


async def test_sqlite_without_its_full_text_table_reads_every_line(sqlite_database: Database) -> None:
    async with sqlite_database.transaction() as session:
        for statement in ("DROP TRIGGER logs_fts_insert", "DROP TRIGGER logs_fts_delete", "DROP TABLE logs_fts"):
            await session.execute(text(statement))
    await write(sqlite_database, line(0))
    assert await messages(sqlite_database, LogFilter(q="LINE")) == ["Line 0"]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (LogFilter(q="needle in it"), {"sqlite": "INTEGER PRIMARY KEY (rowid=?)", "postgresql": "ix_logs_message_gin"}),
        (LogFilter(min_severity=4), {"sqlite": "ix_logs_errors", "postgresql": "ix_logs_errors"}),
        (LogFilter(types=["connection"]), {"sqlite": "ix_logs_others", "postgresql": "ix_logs_others"}),
        (LogFilter(flow_ids=["x"]), {"sqlite": "ix_logs_instance_id_id", "postgresql": "ix_logs_instance_id_id"}),
        (LogFilter(is_test=True), {"sqlite": "ix_executions_tests", "postgresql": "ix_executions_tests"}),
    ],
)
async def test_rare_lines_are_found_by_an_index(database: Database, wanted: LogFilter, index: dict[str, str]) -> None:
    await write(database, *(line(number, message=f"Hay {number}") for number in range(2_000)))
    await write(database, line(3_000, message="Needle in it"))
    async with database.transaction() as session:
        await session.execute(text("ANALYZE"))
        if database.dialect == "postgresql":
            # So few rows are read soonest one by one.
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            await session.execute(text("SET LOCAL enable_indexscan = off"))
        connection = await session.connection()
        query = paged(await Logs(session).query(wanted), LogRow.id, Page(25))
        compiled = query.compile(connection.sync_connection, compile_kwargs={"literal_binds": True})
        explain = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN"}[database.dialect]
        plan = str((await connection.exec_driver_sql(f"{explain} {compiled}")).all())
    assert index[database.dialect] in plan


async def test_text_is_planned_for_each_time(postgres_database: Database) -> None:
    """A plan for all texts would read line after line for one that is not there."""
    async with postgres_database.snapshot() as session:
        for _ in range(20):
            await Logs(session).list(LogFilter(q="no such text"), Page(25))
        prepared = text("SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%ILIKE%'")
        [(generic, custom)] = (await session.execute(prepared)).all()
    assert generic == 0
    assert custom >= 10


async def test_what_is_settled(database: Database) -> None:
    now = utcnow()
    async with database.snapshot() as session:
        assert made_at(await Logs(session).settled(now)) == (now - SETTLING).replace(
            microsecond=now.microsecond // 1000 * 1000
        )


async def test_writer_that_has_begun_is_waited_for(postgres_database: Database) -> None:
    """Its lines may have ids from any time since then."""
    async with postgres_database.transaction() as writer:
        await Logs(writer).add_many([line(0)])
        began: datetime = await writer.scalar(text("SELECT now()"))
        async with postgres_database.snapshot() as session:
            settled = made_at(await Logs(session).settled(began + timedelta(minutes=1)))
            assert abs(settled - (began - SETTLING)) < timedelta(seconds=1)
            late = made_at(await Logs(session).settled(began + timedelta(hours=1)))
            assert late > began + timedelta(minutes=49)
    async with postgres_database.snapshot() as session:
        assert made_at(await Logs(session).settled(began + MINUTE)) > began + timedelta(seconds=50)
