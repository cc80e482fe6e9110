import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text, update

from api.app import create_app
from domain.errors import Conflict, Gone, Invalid, NotFound, Unavailable, VersionConflict
from runtime.clock import utcnow
from store.engine import Database
from store.tables import IdempotencyRow
from tests.api.conftest import serving, settings_for
from tests.api.probe import Probe
from tests.fakes_gateway import FakeGateway

KEY = {"Idempotency-Key": "order-4711"}


async def note(client: httpx2.AsyncClient, name: str = "Noted", **headers: str) -> httpx2.Response:
    return await client.post("/v1/probe/notes", json={"name": name}, headers=KEY | headers)


async def names(client: httpx2.AsyncClient) -> list[str]:
    return [each["name"] for each in (await client.get("/v1/customers")).json()["data"]]


async def age(database: Database, by: timedelta) -> None:
    async with database.transaction() as session:
        await session.execute(update(IdempotencyRow).values(created_at=utcnow() - by))


async def test_same_key_and_body_get_the_first_answer(client: httpx2.AsyncClient, probe: Probe) -> None:
    first, again = await note(client), await note(client)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["content-type"] == "application/json"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (probe.calls, probe.committed) == (1, [1])
    assert await names(client) == ["Noted"]


async def test_answer_keeps_its_headers(client: httpx2.AsyncClient) -> None:
    answers = [await client.post("/v1/customers", json={"name": "Acme"}, headers=KEY) for _ in range(2)]
    assert [answer.headers["etag"] for answer in answers] == ['"1"', '"1"']
    assert answers[0].headers["x-request-id"] != answers[1].headers["x-request-id"]


async def test_order_of_keys_is_the_same_body(client: httpx2.AsyncClient) -> None:
    headers = KEY | {"Content-Type": "application/json"}
    await client.post("/v1/customers", content=b'{"name": "Acme", "labels": []}', headers=headers)
    again = await client.post("/v1/customers", content=b'{"labels":[],"name":"Acme"}', headers=headers)
    assert again.headers["idempotent-replayed"] == "true"


async def test_other_body_under_the_same_key(client: httpx2.AsyncClient, probe: Probe) -> None:
    await note(client)
    other = await note(client, "Another")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert probe.calls == 1


async def test_other_path_is_another_request(client: httpx2.AsyncClient, probe: Probe) -> None:
    await note(client)
    response = await client.post("/v1/probe/empty", headers=KEY)
    assert (response.status_code, response.json()) == (200, {"told": 0})


async def test_other_principal_is_another_request(client: httpx2.AsyncClient, probe: Probe) -> None:
    made = await client.post("/v1/api_keys", json={"name": "r", "scopes": ["write"]})
    await note(client, "One")
    other = await note(client, "Two", Authorization=f"Bearer {made.json()['key']}")
    assert other.status_code == 201
    assert await names(client) == ["Two", "One"]


@pytest.mark.parametrize("key", ["", "a" * 256, "tab\there", "\x7f", "\u00e4"])
async def test_key_that_is_none(client: httpx2.AsyncClient, key: str) -> None:
    response = await client.post("/v1/customers", json={"name": "A"}, headers={b"Idempotency-Key": key.encode()})
    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_invalid")


@pytest.mark.parametrize("key", ["a", "a" * 255, "with space and ~"])
async def test_key_that_is_one(client: httpx2.AsyncClient, key: str) -> None:
    response = await client.post("/v1/customers", json={"name": "A"}, headers={"Idempotency-Key": key})
    assert response.status_code == 201


async def test_key_on_a_get_means_nothing(client: httpx2.AsyncClient) -> None:
    for _ in range(2):
        assert "idempotent-replayed" not in (await client.get("/v1/customers", headers=KEY)).headers


@pytest.mark.parametrize("error", [NotFound("a"), Conflict("a"), Gone("a"), VersionConflict("a")])
async def test_refusal_is_kept_and_its_effects_are_not(
    client: httpx2.AsyncClient, probe: Probe, error: Exception
) -> None:
    probe.fail = error
    first = await note(client)
    probe.fail = None
    again = await note(client)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"
    assert (probe.committed, await names(client)) == ([], [])


@pytest.mark.parametrize(
    "error",
    [
        Invalid("a"),
        Unavailable("a"),
        Unavailable("a", code="rate_limited"),
        RuntimeError("a"),
    ],
)
async def test_answer_that_time_or_another_body_changes_is_not_kept(
    client: httpx2.AsyncClient, probe: Probe, error: Exception
) -> None:
    probe.fail = error
    assert (await note(client)).status_code >= 409
    probe.fail = None
    again = await note(client)
    assert again.status_code == 201
    assert "idempotent-replayed" not in again.headers


async def test_invalid_body_can_be_mended_under_the_same_key(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/v1/customers", json={"name": ""}, headers=KEY)).status_code == 422
    assert (await client.post("/v1/customers", json={"name": "Acme"}, headers=KEY)).status_code == 201


async def test_many_at_once_have_one_effect(client: httpx2.AsyncClient, probe: Probe) -> None:
    answers = await asyncio.gather(*(note(client) for _ in range(8)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 7
    assert probe.calls == 1


async def test_answer_is_forgotten_after_a_day(
    client: httpx2.AsyncClient, probe: Probe, sqlite_database: Database
) -> None:
    await note(client)
    await age(sqlite_database, timedelta(hours=23, minutes=59))
    assert (await note(client)).headers["idempotent-replayed"] == "true"
    await age(sqlite_database, timedelta(hours=24, seconds=1))
    later = await note(client, "Another")
    assert (later.status_code, probe.calls) == (201, 2)


async def test_answer_is_not_readable_in_the_database(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    made = await client.post("/v1/api_keys", json={"name": "r", "scopes": ["read"]}, headers=KEY)
    async with sqlite_database.snapshot() as session:
        stored: Any = await session.scalar(text("SELECT answer FROM idempotency"))
    assert made.json()["key"].encode() not in stored
    again = await client.post("/v1/api_keys", json={"name": "r", "scopes": ["read"]}, headers=KEY)
    assert again.json() == made.json()


async def test_detached_request_under_way(client: httpx2.AsyncClient, probe: Probe) -> None:
    first = asyncio.create_task(client.post("/v1/probe/long", headers=KEY))
    await probe.started.wait()
    meanwhile = await client.post("/v1/probe/long", headers=KEY)
    assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "idempotency_in_progress")
    assert meanwhile.headers["retry-after"] == "1"
    probe.gate.set()
    assert (await first).status_code == 200
    again = await client.post("/v1/probe/long", headers=KEY)
    assert (again.json(), again.headers["idempotent-replayed"]) == ({"told": 1}, "true")


async def test_detached_request_holds_no_lock(client: httpx2.AsyncClient, probe: Probe) -> None:
    waiting = asyncio.create_task(client.post("/v1/probe/long", headers=KEY))
    await probe.started.wait()
    assert (await client.post("/v1/customers", json={"name": "Acme"})).status_code == 201
    probe.gate.set()
    assert (await waiting).status_code == 200


async def test_detached_request_that_died_can_be_sent_again(
    client: httpx2.AsyncClient, probe: Probe, sqlite_database: Database
) -> None:
    probe.gate.set()
    await client.post("/v1/probe/long", headers=KEY)
    async with sqlite_database.transaction() as session:
        await session.execute(update(IdempotencyRow).values(status=None, answer=None))
    assert (await client.post("/v1/probe/long", headers=KEY)).status_code == 409
    await age(sqlite_database, timedelta(minutes=5, seconds=1))
    again = await client.post("/v1/probe/long", headers=KEY)
    assert (again.status_code, again.json()) == (200, {"told": 2})


@pytest.mark.parametrize(
    ("error", "kept"), [(Conflict("a"), True), (Invalid("a"), False), (Unavailable("a"), False), (KeyError("a"), False)]
)
async def test_detached_refusal(client: httpx2.AsyncClient, probe: Probe, error: Exception, kept: bool) -> None:
    probe.gate.set()
    probe.fail = error
    first = await client.post("/v1/probe/long", headers=KEY)
    probe.fail = None
    again = await client.post("/v1/probe/long", headers=KEY)
    assert ("idempotent-replayed" in again.headers) is kept
    assert again.status_code == (first.status_code if kept else 200)


async def test_detached_without_a_key(client: httpx2.AsyncClient, probe: Probe) -> None:
    probe.gate.set()
    assert (await client.post("/v1/probe/long")).json() == {"told": 1}
    assert (await client.post("/v1/probe/long")).json() == {"told": 2}


async def test_answers_outlive_the_process(app: FastAPI, probe: Probe) -> None:
    async with serving(app) as client:
        await note(client)
    async with serving(app) as client:
        assert (await note(client)).headers["idempotent-replayed"] == "true"


async def test_many_at_once_have_one_effect_on_postgres(postgres_url: str) -> None:
    """Here requests do run side by side: the later ones wait for the first one's commit."""
    app, probe = create_app(settings_for(postgres_url), gateway=FakeGateway()), Probe()
    app.include_router(probe.router)
    async with serving(app) as client:
        answers = await asyncio.gather(*(note(client) for _ in range(8)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, b'{"told":1}')}
        assert probe.calls == 1
        rivals = await asyncio.gather(*(client.post("/v1/customers", json={"name": "Acme"}) for _ in range(5)))
    assert sorted(answer.status_code for answer in rivals) == [201, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in rivals if answer.status_code == 409} == {"already_exists"}
