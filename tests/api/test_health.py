from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from activities.vault import data_key_row
from runtime.crypto import DataKey, Keyring
from store.engine import Database
from tests.api.conftest import serving
from tests.factories import saved
from tests.fakes_gateway import FakeGateway


@pytest.fixture
async def open_client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with serving(app, key=None) as client:
        yield client


async def test_ready(open_client: httpx2.AsyncClient) -> None:
    response = await open_client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "database": "ok", "temporal": "ok", "schema": "ok", "keys": "ok"}


async def test_degraded_without_temporal(open_client: httpx2.AsyncClient, gateway: FakeGateway) -> None:
    gateway.away = True
    response = await open_client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "database": "ok",
        "temporal": "unavailable",
        "schema": "ok",
        "keys": "ok",
    }


async def test_degraded_without_a_key_that_data_keys_are_under(
    open_client: httpx2.AsyncClient, sqlite_database: Database
) -> None:
    lost = Keyring([("lost", b"0" * 32)])
    await saved(sqlite_database, data_key_row(lost, DataKey.fresh("dk_1", "cust_1"), 1))
    response = await open_client.get("/readyz")
    assert (response.status_code, response.json()["status"], response.json()["keys"]) == (200, "degraded", "missing")


async def test_unavailable_with_another_schema(open_client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    async with sqlite_database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = 'other'"))
    response = await open_client.get("/readyz")
    assert (response.status_code, response.json()["status"], response.json()["schema"]) == (
        503,
        "unavailable",
        "outdated",
    )


async def test_unavailable_without_a_database(open_client: httpx2.AsyncClient, app: FastAPI) -> None:
    nowhere = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    app.state.resources = replace(app.state.resources, database=nowhere)
    response = await open_client.get("/readyz")
    await nowhere.dispose()
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "database": "unavailable",
        "temporal": "ok",
        "schema": "unknown",
        "keys": "unknown",
    }
    assert (await open_client.get("/livez")).json() == {"status": "ok"}


async def test_alive_touches_nothing(app: FastAPI) -> None:
    """Not even what the lifespan opens."""
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://flowgraft.test") as client:
        assert (await client.get("/livez")).status_code == 200
