"""`python -m bench.lists`: how long the API takes to list among 100,000 instances on PostgreSQL.

A private server with its ordinary, durable settings; the application in this process, so that the figures are the
server's time: authentication, queries, JSON.
"""

import argparse
import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import httpx2
from sqlalchemy import insert

from api.app import create_app
from deploy.cluster.postgres import PostgresServer
from runtime.devserver import free_port
from runtime.settings import Settings
from store.dialect import table_of
from store.engine import Database
from store.migrate import upgrade
from store.tables import (
    Base,
    CustomerRow,
    DeploymentRow,
    InstanceFlowRow,
    InstanceRow,
    IntegrationRow,
    VersionRow,
)

KEY = "bootstrap-key-of-the-benchmark"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CUSTOMERS = 2_000
INTEGRATIONS = 10
VERSIONS = 3
BATCH = 5_000
CALLS = 15
DEFINITION: dict[str, Any] = {
    "schema": "flowgraft/v1",
    "key": "orders",
    "name": "Orders",
    "flows": [{"key": "hello", "trigger": {"type": "webhook"}, "steps": []}],
}
EXPLAINED = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
}
LATER = "by name, page 21"
LISTS = {
    "newest first": "",
    LATER: "&sort=name",
    "by name": "&sort=name",
    "by name, backwards": "&sort=-name",
    "by last change": "&sort=-updated_at",
    "by customer": "&sort=customer",
    "one customer": "&customer_id=cust_0000000007",
    "one integration, paused": "&integration_id=intg_0000000003&state=paused",
    "a version": "&version_id=ver_0000000003_2",
    "name, frequent": "&q=instance 12",
    "name, one hit": "&q=instance 77777",
    "name, no hit": "&q=nothing-like-it",
    "description, rare": "&description=note 500",
    "a frequent label": "&label=eu",
    "a rare label": "&label=rare",
    "in a failed state": "&in_failed_state=true",
    "to be configured": "&config_state=needs_configuration",
    "to be deployed, EU": "&needs_deploy=true&label=eu",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Lists of many instances on PostgreSQL.")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--plans", action="store_true", help="say how PostgreSQL goes about each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flowgraft-lists-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # PostgreSQL may run under another account
        settings = {"max_connections": "100"} | (EXPLAINED if options.plans else {})
        server = PostgresServer(directory / "postgres", free_port(), settings, "flowgraft").start()
        try:
            print(measured(server, options.count))  # noqa: T201 — the table is the output
            if options.plans:
                print(server.log_file.read_text())  # noqa: T201
        finally:
            server.stop()


def measured(server: PostgresServer, count: int) -> str:
    url = server.url("flowgraft")
    server.execute("CREATE DATABASE flowgraft")
    upgrade(url)
    asyncio.run(fill(url, count))
    server.execute("VACUUM ANALYZE", "flowgraft")
    return asyncio.run(_table(url))


async def _table(url: str) -> str:
    lines = ["| list | p50, ms | worst of 15, ms |", "|---|---|---|"]
    async with client_of(url) as client:
        for name, query in LISTS.items():
            path = f"/v1/instances?limit=25{query}"
            if name == LATER:
                path += f"&cursor={await far(client, path)}"
            times = [await timed(client, path) for _ in range(CALLS + 1)][1:]
            lines.append(f"| {name} | {median(times):.1f} | {max(times):.1f} |")
    return "\n".join(lines)


async def timed(client: httpx2.AsyncClient, path: str) -> float:
    began = perf_counter()
    response = await client.get(path)
    seconds = perf_counter() - began
    response.raise_for_status()
    return seconds * 1000


async def far(client: httpx2.AsyncClient, path: str) -> str:
    """The cursor behind the twentieth page."""
    cursor = ""
    for _ in range(20):
        cursor = (await client.get(path + (f"&cursor={cursor}" if cursor else ""))).json()["next_cursor"]
    return cursor


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    keys = "bench:" + base64.b64encode(bytes(32)).decode()
    app = create_app(Settings(database_url=url, bootstrap_api_key=KEY, encryption_keys=keys))
    transport, headers = httpx2.ASGITransport(app=app), {"Authorization": f"Bearer {KEY}"}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://bench.test", headers=headers) as client,
    ):
        yield client


async def fill(url: str, count: int) -> None:
    database = Database(url)
    kinds: list[tuple[type[Base], Iterator[dict[str, Any]]]] = [
        (CustomerRow, map(_customer, range(CUSTOMERS))),
        (IntegrationRow, map(_integration, range(INTEGRATIONS))),
        (VersionRow, (_version(of, number) for of in range(INTEGRATIONS) for number in range(1, VERSIONS + 1))),
        (InstanceRow, map(_instance, range(count))),
        (DeploymentRow, (_deployment(each) for each in range(count) if _is_deployed(each))),
        (InstanceFlowRow, (_flow(each, position) for each in range(count) for position in (0, 1))),
    ]
    try:
        for kind, rows in kinds:
            while batch := list(islice(rows, BATCH)):
                async with database.transaction() as session:
                    await session.execute(insert(table_of(kind)), batch)
    finally:
        await database.dispose()


def _stamps(number: int) -> dict[str, Any]:
    at = BEGAN + timedelta(seconds=number)
    return {"created_at": at, "updated_at": at, "revision": 1}


def _customer(number: int) -> dict[str, Any]:
    return {
        "id": f"cust_{number:010d}",
        "name": f"Customer {number}",
        "labels": ["eu"] if number % 3 == 0 else [],
        "show_all_instances": False,
        "deleting": False,
    } | _stamps(number)


def _integration(number: int) -> dict[str, Any]:
    return {
        "id": f"intg_{number:010d}",
        "key": f"integration-{number}",
        "name": f"Integration {number}",
        "labels": [],
        "draft_text": "",
        "draft": DEFINITION,
        "latest_number": VERSIONS,
    } | _stamps(number)


def _version(of: int, number: int) -> dict[str, Any]:
    return {
        "id": f"ver_{of:010d}_{number}",
        "integration_id": f"intg_{of:010d}",
        "number": number,
        "available": True,
        "text": "",
        "definition": DEFINITION,
    } | _stamps(number)


def _is_deployed(number: int) -> bool:
    return number % 5 != 0


def _instance(number: int) -> dict[str, Any]:
    labels = ["eu"] if number % 3 == 0 else ["us"]
    return {
        "id": f"inst_{number:010d}",
        "customer_id": f"cust_{number % CUSTOMERS:010d}",
        "integration_id": f"intg_{number % INTEGRATIONS:010d}",
        "version_id": f"ver_{number % INTEGRATIONS:010d}_{1 + number % VERSIONS}",
        "name": f"Instance {number * 7919 % 1_000_003}",
        "description": f"A note {number % 997}",
        "labels": [*labels, "rare"] if number % 20_000 == 1 else labels,
        "enabled": number % 50 != 0,
        "configured": number % 500 != 0,
        "needs_deploy": not _is_deployed(number),
        "config_revision": 1,
        "deployment_id": f"dep_{number:010d}" if _is_deployed(number) else None,
        "deleting": False,
    } | _stamps(number)


def _deployment(number: int) -> dict[str, Any]:
    return {
        "id": f"dep_{number:010d}",
        "instance_id": f"inst_{number:010d}",
        "version_id": f"ver_{number % INTEGRATIONS:010d}_{1 + number % VERSIONS}",
        "version_number": 1 + number % VERSIONS,
        "definition": DEFINITION,
        "config": {},
        "created_at": BEGAN,
    }


def _flow(number: int, position: int) -> dict[str, Any]:
    return {
        "id": f"flow_{number:010d}_{position}",
        "instance_id": f"inst_{number:010d}",
        "key": "hello" if position == 0 else "nightly",
        "name": "Hello",
        "position": position,
        "trigger": "webhook" if position == 0 else "schedule",
        "token": f"token-{number}-{position}",
        "active": True,
        "schedule_dirty": False,
        "failed": number % 1_000 == 3,
    } | _stamps(number)


if __name__ == "__main__":
    main()
