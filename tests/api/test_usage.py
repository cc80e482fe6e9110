"""Usage and the conservation ledger, as they are asked for."""

from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from api.shapes import instant
from domain.executions import Status
from runtime.clock import utcnow
from store.engine import Database
from store.removed import hour_of
from store.tables import ExecutionRow, PayloadRow, UsageDayRow, UsageHourRow
from tests.factories import Deployed, deployed, execution, saved

ZEROS = dict.fromkeys(("succeeded", "failed", "canceled", "skipped", "tests", "steps"), 0)
HOUR = timedelta(hours=1)


@pytest.fixture
async def made(client: httpx2.AsyncClient, sqlite_database: Database) -> Deployed:
    async with sqlite_database.transaction() as session:
        return await deployed(session)


def day(ago: int, customer_id: str, **given: Any) -> UsageDayRow:
    at = utcnow() - timedelta(days=ago)
    values: dict[str, Any] = {"day": at.date(), "customer_id": customer_id, "enabled_instances": 1.5, "updated_at": at}
    return UsageDayRow(**values | ZEROS | given)


async def data(client: httpx2.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_usage_is_listed_by_day_and_customer(
    client: httpx2.AsyncClient, made: Deployed, sqlite_database: Database
) -> None:
    rows = [day(ago, made.customer.id, succeeded=10 + ago, tests=2, steps=30) for ago in (0, 1, 29, 30)]
    await saved(sqlite_database, *rows, day(0, "cust_gone"))
    found = await data(client, "/v1/usage")
    assert [(each["day"], each["customer"]["name"]) for each in found] == [
        (rows[0].day.isoformat(), made.customer.name),
        (rows[0].day.isoformat(), None),
        (rows[1].day.isoformat(), made.customer.name),
        (rows[2].day.isoformat(), made.customer.name),
    ]
    assert found[0]["executions"] == {"succeeded": 10, "failed": 0, "canceled": 0, "skipped": 0}
    assert (found[0]["enabled_instances"], found[0]["test_executions"], found[0]["steps"]) == (1.5, 2, 30)
    some = {"from": rows[3].day.isoformat(), "to": rows[2].day.isoformat(), "customer_id": made.customer.id}
    assert [each["executions"]["succeeded"] for each in await data(client, "/v1/usage", **some)] == [39, 40]
    first = (await client.get("/v1/usage", params={"limit": 3})).json()
    rest = (await client.get("/v1/usage", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [each["executions"]["succeeded"] for each in rest["data"]] == [39]


@pytest.mark.parametrize(
    "query",
    [
        {"from": "5"},
        {"from": "2026-02-30"},
        {"from": "2026-03-01T00:00:00Z"},
        {"to": "yesterday"},
        {"to": ""},
        {"day": "2026-03-01"},
    ],
)
async def test_days_are_days(client: httpx2.AsyncClient, query: dict[str, str]) -> None:
    assert (await client.get("/v1/usage", params=query)).status_code == 422


async def test_first_of_all_days(client: httpx2.AsyncClient) -> None:
    assert await data(client, "/v1/usage", to="0001-01-01") == []


def accepted(made: Deployed, at: datetime, **given: Any) -> ExecutionRow:
    return execution(made.instance, made.flow, **{"queued_at": at, "updated_at": at} | given)


async def test_books_are_listed_by_hour_and_customer(
    client: httpx2.AsyncClient, made: Deployed, sqlite_database: Database
) -> None:
    now = utcnow()
    watched = {"handed_over_at": now, "check_after": now}
    await saved(
        sqlite_database,
        accepted(made, now, status=Status.SUCCEEDED),
        accepted(made, now, status=Status.RUNNING, **watched),
        accepted(made, now, held=0),
        accepted(made, now - 3 * HOUR, status=Status.FAILED),
        accepted(made, now - 30 * HOUR, status=Status.FAILED),
    )
    found = await data(client, "/v1/conservation")
    sides = ("accepted", "ended", "in_flight", "held", "removed", "imbalance")
    assert [tuple(each[side] for side in sides) for each in found] == [(3, 1, 1, 1, 0, 0), (1, 1, 0, 0, 0, 0)]
    assert found[0]["hour"] == instant(hour_of(now))
    assert (found[0]["customer"]["name"], found[0]["settled"]) == (made.customer.name, False)
    assert await data(client, "/v1/conservation", unbalanced="true") == []
    assert await data(client, "/v1/conservation", customer_id="cust_other") == []
    first = (await client.get("/v1/conservation", params={"limit": 1})).json()
    rest = (await client.get("/v1/conservation", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert [each["hour"] for each in (*first["data"], *rest["data"])] == [each["hour"] for each in found]
    assert rest["has_more"] is False


async def test_what_is_missing_is_found(client: httpx2.AsyncClient, made: Deployed, sqlite_database: Database) -> None:
    now = utcnow()
    await saved(
        sqlite_database,
        accepted(made, now, status=Status.SUCCEEDED),
        accepted(made, now, status=Status.RUNNING, handed_over_at=now),
    )
    [found] = await data(client, "/v1/conservation", unbalanced="true")
    assert (found["accepted"], found["imbalance"]) == (2, 1)
    await saved(sqlite_database, UsageHourRow(hour=now, customer_id=made.customer.id, imbalance=-2))
    assert "flowgraft_conservation_imbalance 2.0" in (await client.get("/metrics")).text


async def test_range_of_the_books_is_bounded(client: httpx2.AsyncClient) -> None:
    async def status(**query: str) -> int:
        return (await client.get("/v1/conservation", params=query)).status_code

    assert await status(**{"from": "2026-03-01T00:30:00Z", "to": "2026-03-08T00:30:00Z"}) == 200
    assert await status(**{"from": "2026-03-01T00:00:00Z", "to": "2026-03-08T02:00:00Z"}) == 422
    assert await status(to="0001-01-01T00:00:00Z") == 200
    assert await status(to="9999-12-31T23:59:59Z") == 200
    assert await status(**{"from": "9999-12-31T23:59:59Z", "to": "0001-01-01T00:00:00Z"}) == 200


async def test_expiry_is_said_and_what_is_gone(
    client: httpx2.AsyncClient, made: Deployed, sqlite_database: Database
) -> None:
    """A failed original is kept for a month, so its payload stays for the replay's sake and for its own."""
    now = utcnow()
    ended = {"ended_at": now, "payload_id": "exec_original", "payload_size": 1}
    original = accepted(made, now, id="exec_original", status=Status.FAILED, **ended)
    replay = accepted(made, now, status=Status.SUCCEEDED, replay_of=original.id, root_id=original.id, **ended)
    open_ = accepted(made, now, status=Status.RUNNING, payload_id="exec_other")
    bare = accepted(made, now, status=Status.SUCCEEDED, ended_at=now)
    payload = PayloadRow(id="exec_other", instance_id=made.instance.id, head=b"", body=b"", created_at=now)
    await saved(sqlite_database, original, replay, open_, bare, payload)

    def days(text: str | None) -> int | None:
        return None if text is None else round((datetime.fromisoformat(text) - now) / timedelta(days=1))

    found = {each["id"]: each for each in await data(client, "/v1/executions")}
    told = {row_id: (days(each["expires_at"]), days(each["payload_expires_at"])) for row_id, each in found.items()}
    assert told == {original.id: (30, 30), replay.id: (14, 30), open_.id: (None, None), bare.id: (14, None)}
    one = (await client.get(f"/v1/executions/{replay.id}")).json()
    assert days(one["payload_expires_at"]) == 30
    for path in ("payload", "payload/raw"):
        gone = await client.get(f"/v1/executions/{original.id}/{path}")
        assert (gone.status_code, gone.json()["code"]) == (410, "payload_expired")
        assert (await client.get(f"/v1/executions/{bare.id}/{path}")).status_code == 200
    refused = await client.post(f"/v1/executions/{original.id}/replay")
    assert (refused.status_code, refused.json()["code"]) == (409, "payload_expired")
