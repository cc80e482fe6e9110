"""`python -m bench.executions`: how long the API takes to list among a million executions on PostgreSQL.

As `bench.lists`: a private server with its ordinary, durable settings, and the application in this process.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from bench.lists import CALLS, EXPLAINED, client_of, far, fill, timed
from deploy.cluster.postgres import PostgresServer
from domain.ids import first_id
from runtime.devserver import free_port
from store.migrate import upgrade

INSTANCES = 10_000
INTEGRATIONS, VERSIONS, CUSTOMERS = 10, 3, 2_000  # as bench.lists makes them
SPAN = timedelta(days=14)
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
OPEN = 500  # the latest ones
BUSY = 7  # an instance that has a tenth of all
RESOLVED_OF_FAILED = 5  # every fifth
DATABASE = "flowgraft"
NARROW = "&started_after=2026-03-05T10:00:00Z&started_before=2026-03-05T10:10:00Z"
WIDE = "&started_after=2026-03-03T00:00:00Z&started_before=2026-03-10T00:00:00Z"
LATER = "all, page 21"
LISTS = {
    "all": "",
    LATER: "",
    "a busy customer": "&customer_id=cust_0000000007",
    "a quiet customer": "&customer_id=cust_0000000011",
    "a busy instance": "&instance_id=inst_0000000007",
    "a quiet instance": "&instance_id=inst_0000000011",
    "a flow without any": "&flow_id=flow_0000000011_0",
    "failed": "&status=failed",
    "retrying": "&status=retrying",
    "open": "&status=queued&status=running&status=retrying",
    "failed, a quiet customer": "&status=failed&customer_id=cust_0000000011",
    "failed, a busy customer": "&status=failed&customer_id=cust_0000000007",
    "a tag of one execution": "&tag=order_id:77777",
    "a tag of a thousandth": "&tag=shop:7",
    "a tag of half of them": "&tag=region:eu",
    "a tag of none": "&tag=order_id:none",
    "two tags, either": "&tag=order_id:77777&tag=shop:7",
    "a tag of a thousandth, failed": "&tag=shop:7&status=failed",
    "a tag of half of them, a quiet customer": "&tag=region:eu&customer_id=cust_0000000011",
    "ten minutes, days ago": NARROW,
    "a week": WIDE,
    "the future": "&started_after=2030-01-01T00:00:00Z",
    "before all": "&started_before=2020-01-01T00:00:00Z",
    "ten minutes, days ago, failed": f"{NARROW}&status=failed",
    "a week, a quiet customer": f"{WIDE}&customer_id=cust_0000000011",
    "unresolved": "&unresolved=true",
    "unresolved, a quiet customer": "&unresolved=true&customer_id=cust_0000000011",
    "unresolved, a busy instance": "&unresolved=true&instance_id=inst_0000000007",
    "unresolved, a week": f"&unresolved=true{WIDE}",
    "originals only": "&originals_only=true",
    "an integration": "&integration_id=intg_0000000003",
    "no tests": "&is_test=false",
}
COLUMNS = [
    "id",
    "instance_flow_id",
    "instance_id",
    "customer_id",
    "integration_id",
    "version_id",
    "deployment_id",
    "status",
    "trigger",
    "is_test",
    "replay_of",
    "root_id",
    "resolved_at",
    "resolved_by",
    "payload_id",
    "payload_size",
    "attempt",
    "max_attempts",
    "retry",
    "queued_at",
    "started_at",
    "ended_at",
    "error",
    "tags",
    "workflow_id",
    "run_id",
    "handed_over_at",
    "check_after",
    "created_at",
    "updated_at",
]

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="Lists of many executions on PostgreSQL.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--only", help="the lists whose name holds this")
    parser.add_argument("--plans", action="store_true", help="say how PostgreSQL goes about each")
    options = parser.parse_args()
    chosen = {name: query for name, query in LISTS.items() if (options.only or "") in name}
    with tempfile.TemporaryDirectory(prefix="flowgraft-executions-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # PostgreSQL may run under another account
        settings = {"max_connections": "100"} | (EXPLAINED if options.plans else {})
        server = PostgresServer(directory / "postgres", free_port(), settings, DATABASE).start()
        try:
            print(measured(server, options.count, chosen))  # noqa: T201 — the table is the output
            if options.plans:
                print(server.log_file.read_text())  # noqa: T201
        finally:
            server.stop()


def measured(server: PostgresServer, count: int, lists: dict[str, str]) -> str:
    url = server.url(DATABASE)
    server.execute(f"CREATE DATABASE {DATABASE}")
    upgrade(url)
    asyncio.run(fill(url, INSTANCES))
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        _copy(connection, "executions", COLUMNS, map(_execution, range(count), [count] * count))
        tags = (tag for number in range(count) for tag in _tags(number, count))
        _copy(connection, "execution_tags", ["execution_id", "key", "value"], tags)
    server.execute("VACUUM ANALYZE", DATABASE)
    return asyncio.run(_table(url, lists))


async def _table(url: str, lists: dict[str, str]) -> str:
    lines = [f"| list | p50, ms | worst of {CALLS}, ms |", "|---|---|---|"]
    async with client_of(url) as client:
        for name, query in lists.items():
            path = f"/v1/executions?limit=25{query}"
            if name == LATER:
                path += f"&cursor={await far(client, path)}"
            times = [await timed(client, path) for _ in range(CALLS + 1)][1:]
            lines.append(f"| {name} | {median(times):.1f} | {max(times):.1f} |")
    return "\n".join(lines)


def _copy(connection: psycopg.Connection, table: str, columns: Sequence[str], rows: Iterator[Row]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row.get(column) for column in columns])
    connection.commit()


def _at(number: int, count: int) -> datetime:
    return BEGAN + SPAN * number / count


def _id(number: int, count: int) -> str:
    return first_id("exec", _at(number, count))


def _status(number: int, count: int) -> str:
    if number >= count - OPEN:
        return ("queued", "running", "retrying")[number % 3]
    kind = number * 7_907 % 1_000
    return "failed" if kind < 30 else "canceled" if kind < 40 else "skipped" if kind < 45 else "succeeded"


def _instance_of(number: int) -> int:
    """One that is deployed."""
    if number % 10 == 0:
        return BUSY
    instance = number * 7_919 % INSTANCES
    return instance if instance % 5 else instance + 1


def _execution(number: int, count: int) -> Row:
    instance, status, at = _instance_of(number), _status(number, count), _at(number, count)
    ended = status not in ("queued", "running", "retrying")
    failed = status == "failed"
    resolved = failed and number % RESOLVED_OF_FAILED == 0
    replayed = status == "succeeded" and number % 100 == 1
    execution_id = _id(number, count)
    return {
        "id": execution_id,
        "instance_flow_id": f"flow_{instance:010d}_{number % 2}",
        "instance_id": f"inst_{instance:010d}",
        "customer_id": f"cust_{instance % CUSTOMERS:010d}",
        "integration_id": f"intg_{instance % INTEGRATIONS:010d}",
        "version_id": f"ver_{instance % INTEGRATIONS:010d}_{1 + instance % VERSIONS}",
        "deployment_id": f"dep_{instance:010d}",
        "status": status,
        "trigger": "schedule" if number % 2 else "webhook",
        "is_test": number % 500 == 3,
        "replay_of": _id(number - 1, count) if replayed else None,
        "root_id": _id(number - 1, count) if replayed else None,
        "resolved_at": at if resolved else None,
        "resolved_by": execution_id if resolved else None,
        "payload_id": execution_id,
        "payload_size": 812,
        "attempt": 1,
        "max_attempts": 4,
        "retry": json.dumps({"max_attempts": 4}),
        "queued_at": at,
        "started_at": at + timedelta(milliseconds=80) if status != "queued" else None,
        "ended_at": at + timedelta(seconds=1) if ended else None,
        "error": json.dumps({"code": "http_500", "message": "The shop answered 500", "step": "order"})
        if failed
        else None,
        "tags": json.dumps({tag["key"]: tag["value"] for tag in _tags(number, count)}),
        "workflow_id": execution_id,
        "run_id": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
        "handed_over_at": at,
        "check_after": None if ended else at,
        "created_at": at,
        "updated_at": at + timedelta(seconds=1),
    }


def _tags(number: int, count: int) -> Iterator[Row]:
    values = {"order_id": str(number), "region": "eu" if number % 2 else "us"}
    if number % 1_000 == 7:
        values["shop"] = "7"
    execution_id = _id(number, count)
    return ({"execution_id": execution_id, "key": key, "value": value} for key, value in values.items())


if __name__ == "__main__":
    main()
