"""Secrets that cannot be decrypted: what a client is told, and that new ones can be set."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from activities.vault import data_key_row
from runtime.crypto import DataKey, Keyring
from store.engine import Database
from store.tables import ConfigValueRow, DataKeyRow, DeploymentRow
from tests.api.conftest import serving
from tests.api.setup import CONFIG, deploy, make_instance, read

LOST = Keyring([("lost", b"0" * 32)])

Breaking = Callable[[Database, dict[str, Any]], Awaitable[None]]


async def lose_the_key(database: Database, instance: dict[str, Any]) -> None:
    """Its customer's data key is under a key that is not on the ring."""
    fresh = data_key_row(LOST, DataKey.fresh("dk_lost", instance["customer"]["id"]), 1)
    owned = update(DataKeyRow).where(DataKeyRow.owner == instance["customer"]["id"])
    async with database.transaction() as session:
        await session.execute(owned.values(wrapped=fresh.wrapped, wrapped_by="lost"))


async def garble(database: Database, instance: dict[str, Any]) -> None:
    """Somebody has put one customer's ciphertext into another place."""
    async with database.transaction() as session:
        await session.execute(update(ConfigValueRow).where(ConfigValueRow.key == "shop").values(secret=b"\x01\x02k1no"))
        await session.execute(update(DeploymentRow).values(secrets=b"\x01\x02k1no"))


@pytest.fixture(params=[(lose_the_key, 503, "encryption_key_missing"), (garble, 409, "decryption_failed")])
def breaking(request: pytest.FixtureRequest) -> tuple[Breaking, int, str]:
    given: tuple[Breaking, int, str] = request.param
    return given


async def test_what_needs_an_unreadable_secret_says_so(
    app: FastAPI, sqlite_database: Database, breaking: tuple[Breaking, int, str]
) -> None:
    act, status, code = breaking
    async with serving(app) as client:
        instance = await make_instance(client)
        await deploy(app, instance)
        flow = (await read(client, f"/v1/instances/{instance['id']}/flows"))["data"][0]
    await act(sqlite_database, instance)
    path = f"/v1/instances/{instance['id']}"
    async with serving(app) as client:  # a process that holds nothing yet
        answers = [
            await client.get(f"{path}/config"),
            await client.patch(f"{path}/config", json={"values": {"region": "us"}}),
            await client.post(f"{path}/deploy"),
            await client.post(flow["webhook_url"], json={"id": 1}),
        ]
        assert (await client.get(path)).status_code == 200
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(status, code)] * 4
    assert all(
        "shop: " in answer.json()["detail"] or "hook_secret: " in answer.json()["detail"] for answer in answers[:3]
    )
    assert all(("Retry-After" in answer.headers) == (status == 503) for answer in answers)


async def test_unreadable_secret_is_set_anew(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    instance = await make_instance(client)
    await garble(sqlite_database, instance)
    path = f"/v1/instances/{instance['id']}/config"
    fixed = await client.patch(path, json={"values": {"shop": CONFIG["shop"]}})
    assert fixed.status_code == 200, fixed.text
    assert (await client.get(path)).status_code == 200


async def test_unreadable_secret_goes_back_to_the_default(
    client: httpx2.AsyncClient, sqlite_database: Database
) -> None:
    instance = await make_instance(client)
    await garble(sqlite_database, instance)
    path = f"/v1/instances/{instance['id']}/config"
    assert (await client.patch(path, json={"values": {"shop": None}})).status_code == 200
    assert (await read(client, path))["config_state"] == "needs_configuration"
