from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from domain.ids import first_id
from runtime.clock import utcnow
from store.engine import Database
from store.logs import Logs
from tests.factories import deployed, execution, save

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWNERS = ("execution_id", "instance_flow_id", "instance_id", "customer_id")
SAID = [(2, "Fetched 3 orders", "execution"), (3, "Token expires", "connection"), (4, "Shop said 500", "execution")]


def log_id(number: int) -> str:
    return first_id("log", START + number * timedelta(minutes=1))


def line(number: int, severity: int, message: str, kind: str, **of: Any) -> dict[str, Any]:
    """Number 1 is of one minute past twelve."""
    owners = {name: f"{name}_{number}" for name in OWNERS}
    start = {"id": log_id(number), "timestamp": START + number * timedelta(minutes=1), "severity": severity}
    return start | {"message": message, "type": kind, "step": "a[0].b", "attempt": 1} | owners | of


async def write(database: Database, *lines: dict[str, Any]) -> None:
    async with database.transaction() as session:
        await Logs(session).add_many(lines)


@pytest.fixture(autouse=True)
async def _lines(sqlite_database: Database) -> None:
    await write(sqlite_database, *(line(number, *each) for number, each in enumerate(SAID, 1)))


async def numbers(client: httpx2.AsyncClient, query: str) -> list[int]:
    response = await client.get(f"/v1/logs?{query}")
    assert response.status_code == 200, response.text
    known = {log_id(number): number for number in range(100)}
    return [known[each["id"]] for each in response.json()["data"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [3, 2, 1]),
        ("q=ORDERS", [1]),
        ("q=", [3, 2, 1]),
        ("severity=info&severity=error", [3, 1]),
        ("min_severity=warn", [3, 2]),
        ("min_severity=fatal", []),
        ("after=2026-03-01T12:02:00Z", [3, 2]),
        ("before=2026-03-01T12:02:00.000000Z", [1]),
        ("after=2026-03-01T13:02:00%2B01:00&before=2026-03-01t12:03:00z", [2]),
        ("customer_id=customer_id_1&customer_id=customer_id_2", [2, 1]),
        ("instance_id=instance_id_3", [3]),
        ("flow_id=instance_flow_id_2&flow_id=instance_flow_id_3", [3, 2]),
        ("execution_id=execution_id_1", [1]),
        ("type=execution", [3, 1]),
        ("type=execution&min_severity=error", [3]),
        ("step=a[0].b", [3, 2, 1]),
        ("step=a", []),
        ("is_test=false", [3, 2, 1]),
        ("is_test=true", []),
        ("order=asc", [1, 2, 3]),
        ("order=desc", [3, 2, 1]),
        (f"after_id={log_id(1)}", [2, 3]),
        (f"after_id={log_id(1)}&min_severity=error", [3]),
        (f"after_id={log_id(3)}", []),
        (f"surrounding={log_id(2)}", [2]),
        (f"surrounding={log_id(2)}&customer_id=customer_id_3&limit=3", [3, 2]),
    ],
)
async def test_logs_are_filtered(client: httpx2.AsyncClient, query: str, found: list[int]) -> None:
    assert await numbers(client, query) == found


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("severity=loud", "severity"),
        ("min_severity=4", "min_severity"),
        ("after=yesterday", "after"),
        ("before=2026-03-01", "before"),
        ("after=1772366400", "after"),
        ("type=x", "type"),
        ("order=up", "order"),
        ("after_id=next", "after_id"),
        (f"after_id={log_id(1)}&order=desc", "order"),
        (f"surrounding={log_id(1)}&after_id={log_id(1)}", "surrounding"),
    ],
)
async def test_filter_that_is_not_acceptable(client: httpx2.AsyncClient, query: str, pointer: str) -> None:
    response = await client.get(f"/v1/logs?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith(f"#/query/{pointer}")


async def test_line_in_full(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/logs?limit=1")).json()["data"] == [
        {
            "id": log_id(3),
            "timestamp": "2026-03-01T12:03:00.000000Z",
            "severity": "error",
            "message": "Shop said 500",
            "type": "execution",
            "step": "a[0].b",
            "attempt": 1,
            "is_test": False,
            "execution_id": "execution_id_3",
            "flow_id": "instance_flow_id_3",
            "instance_id": "instance_id_3",
            "customer_id": "customer_id_3",
            "created_at": "2026-03-01T12:03:00.000000Z",
            "updated_at": "2026-03-01T12:03:00.000000Z",
        }
    ]


async def test_pages_oldest_first(client: httpx2.AsyncClient) -> None:
    first = (await client.get("/v1/logs?order=asc&limit=2")).json()
    second = (await client.get(f"/v1/logs?order=asc&limit=2&cursor={first['next_cursor']}")).json()
    assert [each["id"] for each in first["data"] + second["data"]] == [log_id(1), log_id(2), log_id(3)]
    assert (first["has_more"], second["has_more"]) == (True, False)


async def test_surroundings_are_of_the_same_execution(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    same = {"execution_id": "exec_same"}
    more = [line(number, 2 + number % 2, f"Line {number}", "execution", **same) for number in range(10, 20)]
    await write(sqlite_database, *more, line(20, 2, "Other", "execution"))
    assert await numbers(client, f"surrounding={log_id(15)}&limit=5") == [17, 16, 15, 14, 13]
    assert await numbers(client, f"surrounding={log_id(15)}&limit=5&order=asc") == [13, 14, 15, 16, 17]
    assert await numbers(client, f"surrounding={log_id(18)}&limit=7") == [19, 18, 17, 16, 15]
    assert await numbers(client, f"surrounding={log_id(14)}&limit=5&min_severity=warn") == [17, 15, 14, 13, 11]
    assert await numbers(client, f"surrounding={log_id(14)}&limit=1") == [14]


async def test_surroundings_of_what_is_of_no_execution_are_of_its_instance(
    client: httpx2.AsyncClient, sqlite_database: Database
) -> None:
    of = {"instance_id": "inst_same"}
    lines = [line(10, 2, "Run", "execution", **of), line(11, 3, "Refused", "management", **of, execution_id=None)]
    await write(sqlite_database, *lines)
    assert await numbers(client, f"surrounding={log_id(11)}") == [11, 10]


async def test_line_that_is_not_there_has_no_surroundings(client: httpx2.AsyncClient) -> None:
    assert (await client.get(f"/v1/logs?surrounding={log_id(99)}")).status_code == 404


async def test_what_comes_after_a_line_waits_for_latecomers(
    client: httpx2.AsyncClient, sqlite_database: Database
) -> None:
    """Another writer may still commit a line with a lower id."""
    now = utcnow()
    await write(sqlite_database, line(4, 2, "Fresh", "execution", id=first_id("log", now), timestamp=now))
    assert await numbers(client, f"after_id={log_id(2)}") == [3]
    newest = (await client.get("/v1/logs?limit=1")).json()["data"]
    assert [each["message"] for each in newest] == ["Fresh"]


async def test_lines_of_one_execution(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    async with sqlite_database.transaction() as session:
        made = await deployed(session)
        row = execution(made.instance, made.flow, is_test=True)
        await save(session, row)
        lines = [line(number, 2, f"Line {number}", "execution", execution_id=row.id) for number in (10, 11)]
        await Logs(session).add_many(lines)
    path = f"/v1/executions/{row.id}/logs"
    found = (await client.get(f"{path}?order=asc")).json()["data"]
    assert [(each["id"], each["is_test"]) for each in found] == [(log_id(10), True), (log_id(11), True)]
    beside = (await client.get(f"{path}?surrounding={log_id(10)}")).json()["data"]
    assert [each["id"] for each in beside] == [log_id(11), log_id(10)]
