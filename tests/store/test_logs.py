from datetime import timedelta
from typing import Any

import pytest

from store.engine import Database
from store.logs import LogFilter, Logs
from store.paging import Page
from tests.factories import NOW, an_id

LINES: list[dict[str, Any]] = [
    {
        "message": "Fetched 100% of ORDERS",
        "severity": 2,
        "timestamp": NOW,
        "type": "execution",
        "execution_id": "exec_1",
    },
    {
        "message": "Slow",
        "severity": 3,
        "timestamp": NOW + timedelta(minutes=1),
        "type": "rate_limit",
        "execution_id": None,
    },
    {
        "message": "Broken",
        "severity": 4,
        "timestamp": NOW + timedelta(minutes=2),
        "type": "execution",
        "execution_id": "exec_2",
    },
]


def line(of: dict[str, Any]) -> dict[str, Any]:
    suffix = of["severity"]
    owners = {f"{name}_id": f"{name}_{suffix}" for name in ("customer", "instance", "instance_flow")}
    return of | owners | {"id": an_id("log")}


@pytest.mark.parametrize(
    ("wanted", "messages"),
    [
        (LogFilter(), ["Broken", "Slow", "Fetched 100% of ORDERS"]),
        (LogFilter(q="100% of orders"), ["Fetched 100% of ORDERS"]),
        (LogFilter(q="100_"), []),
        (LogFilter(severities=[2, 4]), ["Broken", "Fetched 100% of ORDERS"]),
        (LogFilter(min_severity=3), ["Broken", "Slow"]),
        (LogFilter(after=NOW + timedelta(minutes=1)), ["Broken", "Slow"]),
        (LogFilter(before=NOW + timedelta(minutes=1)), ["Fetched 100% of ORDERS"]),
        (LogFilter(customer_ids=["customer_3"]), ["Slow"]),
        (LogFilter(instance_ids=["instance_2", "instance_4"]), ["Broken", "Fetched 100% of ORDERS"]),
        (LogFilter(flow_ids=["instance_flow_4"]), ["Broken"]),
        (LogFilter(execution_ids=["exec_1"]), ["Fetched 100% of ORDERS"]),
        (LogFilter(types=["rate_limit"]), ["Slow"]),
        (LogFilter(types=["rate_limit"], min_severity=4), []),
    ],
)
async def test_logs_filtered(database: Database, wanted: LogFilter, messages: list[str]) -> None:
    async with database.transaction() as session:
        await Logs(session).add_many([line(each) for each in LINES])
        assert [row.message for row in await Logs(session).list(wanted, Page(limit=10))] == messages


async def test_logs_paged(database: Database) -> None:
    async with database.transaction() as session:
        await Logs(session).add_many([line(each) for each in LINES])
        first = await Logs(session).list(LogFilter(), Page(limit=1))
        rest = await Logs(session).list(LogFilter(), Page(limit=5, after=first[0].id))
        assert [len(first), len(rest)] == [2, 2]


async def test_no_logs_to_add(database: Database) -> None:
    async with database.transaction() as session:
        await Logs(session).add_many([])
        assert await Logs(session).list(LogFilter(), Page(limit=1)) == []
