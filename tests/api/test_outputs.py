"""A step's whole output: the bytes as they were kept, in pieces."""

import json
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from activities.records import sealed
from api.executions.router import PIECE
from api.resources import Resources
from store.engine import Database
from tests.factories import deployed, execution, saved
from tests.store.test_retention import step


@pytest.mark.parametrize("value", ["ä" * PIECE, {"a": [1.5, None]}, [], 0], ids=["large", "object", "list", "zero"])
async def test_output_is_what_the_step_returned(
    client: httpx2.AsyncClient, app: FastAPI, sqlite_database: Database, value: Any
) -> None:
    resources: Resources = app.state.resources
    async with sqlite_database.transaction() as session:
        made = await deployed(session)
    row = execution(made.instance, made.flow)
    output = sealed(resources.keyring, row.id, 1, "lines[2].ship", "output", value)
    record = step(row, path="lines[2].ship", inputs=None, output=output, output_size=len(output or b""))
    await saved(sqlite_database, row, record)
    async with client.stream("GET", f"/v1/executions/{row.id}/steps/lines[2].ship/output") as answer:
        pieces = [piece async for piece in answer.aiter_raw()]
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == sum(map(len, pieces))
    assert json.loads(b"".join(pieces)) == value


async def test_step_that_returned_nothing(client: httpx2.AsyncClient, sqlite_database: Database) -> None:
    async with sqlite_database.transaction() as session:
        made = await deployed(session)
    row = execution(made.instance, made.flow)
    gone = step(row, path="gone", inputs=None, output=None, output_size=7)
    await saved(sqlite_database, row, step(row, inputs=None, output=None, output_size=0), gone)
    assert (await client.get(f"/v1/executions/{row.id}/steps/say/output")).json() is None
    assert (await client.get(f"/v1/executions/{row.id}/steps/say/output?attempt=2")).status_code == 404
    assert (await client.get(f"/v1/executions/{row.id}/steps/say/output?attempt={10**30}")).status_code == 422
    removed = await client.get(f"/v1/executions/{row.id}/steps/gone/output")
    assert (removed.status_code, removed.json()["code"]) == (410, "output_removed")
