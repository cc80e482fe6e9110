"""Instances that keep less of their executions."""

from typing import Any

import httpx2
import pytest

from store.engine import Database
from store.tables import ExecutionRow, StepRow
from tests.api.setup import make_instance
from tests.factories import NOW, deployed, execution, save


async def test_instance_keeps_everything_at_first(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    assert (instance["log_level"], instance["step_outputs_disabled"]) == ("trace", False)


async def test_instance_is_told_to_keep_less(client: httpx2.AsyncClient) -> None:
    instance = await make_instance(client)
    path = f"/v1/instances/{instance['id']}"
    changes = {"log_level": "none", "step_outputs_disabled": True}
    shown = (await client.patch(path, json=changes)).json()
    assert shown == instance | changes | {"updated_at": shown["updated_at"]}
    assert (await client.get(path)).json()["log_level"] == "none"
    [event, *_] = (await client.get(f"{path}/events")).json()["data"]
    assert (event["action"], event["details"]) == ("instance.updated", {"changed": sorted(changes)})


@pytest.mark.parametrize("wrong", [{"log_level": "loud"}, {"log_level": None}, {"step_outputs_disabled": "perhaps"}])
async def test_level_that_there_is_not(client: httpx2.AsyncClient, wrong: dict[str, Any]) -> None:
    instance = await make_instance(client)
    response = await client.patch(f"/v1/instances/{instance['id']}", json=wrong)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == f"#/{next(iter(wrong))}"


@pytest.fixture
async def forgotten(sqlite_database: Database) -> ExecutionRow:
    """Failed at its step, whose output is gone; another step never had one."""
    async with sqlite_database.transaction() as session:
        made = await deployed(session)
        row = execution(made.instance, made.flow, status="failed", step_values_removed_at=NOW)
        usual: dict[str, Any] = {"execution_id": row.id, "attempt": 1, "component": "http", "action": "get"}
        usual |= {"position": 1, "iteration": [], "status": "succeeded", "tries": 1, "started_at": NOW, "ended_at": NOW}
        steps = [
            StepRow(path=path, key=path, name=path, output_size=size, **usual)
            for path, size in (("order", 500_000), ("note", 0))
        ]
        await save(session, row, *steps)
    return row


async def test_outputs_that_are_gone_are_said_to_be(client: httpx2.AsyncClient, forgotten: ExecutionRow) -> None:
    path = f"/v1/executions/{forgotten.id}"
    shown = (await client.get(path)).json()
    assert shown["step_values_removed_at"] == "2026-01-02T03:04:05.000000Z"
    assert [(step["output"], step["truncated"]) for step in shown["steps"]] == [(None, False)] * 2
    gone = await client.get(f"{path}/steps/order/output")
    assert (gone.status_code, gone.json()["code"]) == (410, "output_removed")
    assert (await client.get(f"{path}/steps/note/output")).json() is None


async def test_replay_needs_the_outputs_that_are_gone(client: httpx2.AsyncClient, forgotten: ExecutionRow) -> None:
    path = f"/v1/executions/{forgotten.id}/replay"
    refused = await client.post(path, json={"from": "failed_step"})
    assert refused.status_code == 409
    assert "outputs of its steps" in refused.json()["detail"]
    assert (await client.post(path, json={"from": "start"})).status_code == 202
