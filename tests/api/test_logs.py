from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from store.engine import Database
from store.logs import Logs

FIELDS = ("id", "timestamp", "severity", "message", "type", "step", "attempt")
OWNERS = ("execution_id", "instance_flow_id", "instance_id", "customer_id")


def line(number: int, severity: int, message: str, kind: str) -> dict[str, Any]:
    owners = {name: f"{name}_{number}" for name in OWNERS}
    at = datetime(2026, 3, 1, 12, number, tzinfo=UTC)
    start = dict(zip(FIELDS, (f"log_{number}", at, severity, message, kind, "a[0].b", 1), strict=True))
    return start | owners


@pytest.fixture(autouse=True)
async def _lines(sqlite_database: Database) -> None:
    async with sqlite_database.transaction() as session:
        await Logs(session).add_many(
            [
                line(1, 2, "Fetched 3 orders", "execution"),
                line(2, 3, "Token expires", "connection"),
                line(3, 4, "Shop said 500", "execution"),
            ]
        )


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
        ("flow_id=instance_flow_id_2", [2]),
        ("execution_id=execution_id_1", [1]),
        ("type=execution", [3, 1]),
        ("type=execution&min_severity=error", [3]),
    ],
)
async def test_logs_are_filtered(client: httpx2.AsyncClient, query: str, found: list[int]) -> None:
    response = await client.get(f"/v1/logs?{query}")
    assert response.status_code == 200, response.text
    assert [each["id"] for each in response.json()["data"]] == [f"log_{number}" for number in found]


@pytest.mark.parametrize(
    "query", ["severity=loud", "min_severity=4", "after=yesterday", "before=2026-03-01", "after=1772366400", "type=x"]
)
async def test_filter_that_is_not_acceptable(client: httpx2.AsyncClient, query: str) -> None:
    response = await client.get(f"/v1/logs?{query}")
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"].startswith(f"#/query/{query.partition('=')[0]}")


async def test_line_in_full(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/logs?limit=1")).json()["data"] == [
        {
            "id": "log_3",
            "timestamp": "2026-03-01T12:03:00.000000Z",
            "severity": "error",
            "message": "Shop said 500",
            "type": "execution",
            "step": "a[0].b",
            "attempt": 1,
            "execution_id": "execution_id_3",
            "flow_id": "instance_flow_id_3",
            "instance_id": "instance_id_3",
            "customer_id": "customer_id_3",
            "created_at": "2026-03-01T12:03:00.000000Z",
            "updated_at": "2026-03-01T12:03:00.000000Z",
        }
    ]
