import asyncio
from typing import Any

import pytest

from domain.executions import Status
from domain.messages import Failure
from store.state import LARGEST
from store.tables import ExecutionRow, StateRow
from tests.activities.kit import Kit, close_input, definition, open_input, run_step_input
from tests.factories import execution, instance, instance_flow, saved

SCOPES = ("execution", "flow", "instance", "integration")


async def step(kit: Kit, row: ExecutionRow, action: str, path: str, **inputs: Any) -> Any:
    return await kit.step(run_step_input(row, f"state.{action}", {"key": "n"} | inputs, path=path))


async def seen(kit: Kit, row: ExecutionRow, path: str) -> list[Any]:
    """From an execution, in the order of the scopes."""
    return [await step(kit, row, "get", f"{path}_{scope}", scope=scope) for scope in SCOPES]


async def test_each_scope_reaches_as_far_as_it_says(kit: Kit) -> None:
    made = await kit.made(definition({}))
    row = await kit.accepted(made)
    for scope in SCOPES:
        await step(kit, row, "set", scope, scope=scope, value=scope)
    another = await kit.accepted(made)
    flow = instance_flow(made.instance, "other", 1)
    elsewhere = instance(made.customer, made.version, deployment_id=made.deployment.id)
    flow_elsewhere = instance_flow(elsewhere)
    await saved(kit.database, flow, elsewhere, flow_elsewhere)
    other_flow = execution(made.instance, flow)
    other_instance = execution(elsewhere, flow_elsewhere)
    await saved(kit.database, other_flow, other_instance)
    assert await seen(kit, row, "same") == list(SCOPES)
    assert await seen(kit, another, "another") == [None, "flow", "instance", "integration"]
    assert await seen(kit, other_flow, "flow") == [None, None, "instance", "integration"]
    assert await seen(kit, other_instance, "instance") == [None, None, None, "integration"]


@pytest.mark.parametrize("scope", SCOPES)
async def test_concurrent_appends_and_increments_lose_none(kit: Kit, scope: str) -> None:
    """Of one execution's parallel steps, or of many executions."""
    made = await kit.made(definition({}))
    rows = [await kit.accepted(made) for _ in range(8)]
    if scope == "execution":
        rows = rows[:1] * 8
    more: dict[str, Any] = {"scope": scope, "key": "list"}
    await asyncio.gather(*(step(kit, row, "increment", f"i{number}", scope=scope) for number, row in enumerate(rows)))
    await asyncio.gather(
        *(step(kit, row, "append", f"a{number}", value=number, **more) for number, row in enumerate(rows))
    )
    assert await step(kit, rows[0], "get", "n", scope=scope) == 8
    assert sorted(await step(kit, rows[0], "get", "list", **more)) == list(range(8))


async def test_what_was_saved_stays_when_the_execution_fails(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    await kit.environment.run(kit.executions.open_execution, open_input(row))
    for scope in SCOPES:
        await step(kit, row, "increment", scope, scope=scope)
    failure = Failure("http_500", "The shop is closed", "later")
    await kit.environment.run(kit.executions.close_execution, close_input(row, Status.FAILED, failure=failure))
    assert (await kit.execution(row.id)).status == Status.FAILED
    assert await seen(kit, row, "after") == [1, 1, 1, 1]


async def test_step_without_room_for_its_state_fails(kit: Kit) -> None:
    row = await kit.accepted(await kit.made(definition({})))
    await step(kit, row, "set", "first", value="short")
    async with kit.database.transaction() as session:
        held = await session.get_one(StateRow, ("flow", row.instance_flow_id, "n"))
        held.size = LARGEST  # as if it were that large
    inputs = {"key": "other", "value": "more", "scope": "instance"}
    error = await kit.step_fails(run_step_input(row, "state.set", inputs, path="second"))
    assert (error.type, error.non_retryable) == ("state_full", True)
    assert await step(kit, row, "set", "third", value="less") == {"value": "less"}
