from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import text, update

from api.shapes import instant
from runtime.clock import utcnow
from store.engine import Database
from store.tables import ApiKeyRow


async def create(client: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post("/v1/api_keys", json={"name": "CI", "scopes": ["read"]} | fields)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def status(client: httpx2.AsyncClient, key: str) -> int:
    return (await client.get("/v1/customers", headers={"Authorization": f"Bearer {key}"})).status_code


async def test_key_is_shown_once_and_stored_as_a_hash(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    made = await create(client, scopes=["write", "read", "write"])
    assert made["id"].startswith("key_")
    assert made["key"].startswith("fg_")
    assert (made["name"], made["scopes"], made["expires_at"]) == ("CI", ["read", "write"], None)
    listed = (await client.get("/v1/api_keys")).json()["data"]
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    async with sqlite_database.snapshot() as session:
        stored = (await session.execute(text("SELECT * FROM api_keys"))).one()
    assert made["key"] not in str(stored)


async def test_use_is_noted(client: httpx2.AsyncClient) -> None:
    made = await create(client)
    assert made["last_used_at"] is None
    assert await status(client, made["key"]) == 200
    first = (await client.get("/v1/api_keys")).json()["data"][0]["last_used_at"]
    assert await status(client, made["key"]) == 200
    assert (await client.get("/v1/api_keys")).json()["data"][0]["last_used_at"] == first is not None


async def test_deleted_key_is_refused(client: httpx2.AsyncClient) -> None:
    made = await create(client)
    response = await client.delete(f"/v1/api_keys/{made['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert await status(client, made["key"]) == 401
    assert (await client.delete(f"/v1/api_keys/{made['id']}")).status_code == 404


async def test_expired_key_is_refused(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    made = await create(client, expires_at=instant(utcnow() + timedelta(hours=1)))
    assert await status(client, made["key"]) == 200
    async with sqlite_database.transaction() as session:
        await session.execute(update(ApiKeyRow).values(expires_at=utcnow()))
    assert await status(client, made["key"]) == 401


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"name": ""}, "#/name"),
        ({"scopes": []}, "#/scopes"),
        ({"scopes": ["root"]}, "#/scopes/0"),
        ({"scopes": "read"}, "#/scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "#/expires_at"),
        ({"expires_at": "tomorrow"}, "#/expires_at"),
        ({"expires_at": "2999-01-01T00:00:00"}, "#/expires_at"),
        ({"expires_at": 32503680000}, "#/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "#/expires_at"),
        ({"expires_at": "2999-02-30T00:00:00Z"}, "#/expires_at"),
    ],
)
async def test_key_that_cannot_be(client: httpx2.AsyncClient, fields: dict[str, Any], pointer: str) -> None:
    response = await client.post("/v1/api_keys", json={"name": "CI", "scopes": ["read"]} | fields)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Token abc", "Bearer \u00e4", "Bearer a b"])
async def test_header_that_is_no_key(client: httpx2.AsyncClient, header: str) -> None:
    response = await client.get("/v1/customers", headers={b"Authorization": header.encode()})
    assert response.status_code == 401
