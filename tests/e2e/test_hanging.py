"""A target that hangs costs its own flow, not the others."""

import asyncio

import pytest

from tests.e2e.client import Client
from tests.e2e.definitions import call
from tests.e2e.target import Spot

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLOOD = 40  # more than the worker's workflow tasks


async def test_hanging_target_does_not_hold_up_other_flows(client: Client, spot: Spot) -> None:
    slow = await client.provision(call(), endpoint=f"{spot.url}/slow")
    quick = await client.provision(call(), endpoint=f"{spot.url}/quick")
    for made in (slow, quick):  # known to be short from now on
        await client.wait_for(await client.delivered(made.url("call"), json={"id": 0}), "succeeded")
    spot.hold("/slow/post")
    await asyncio.gather(*(client.delivered(slow.url("call"), json={"id": number}) for number in range(FLOOD)))
    execution_id = await client.delivered(quick.url("call"), json={"id": 1})
    await client.wait_for(execution_id, "succeeded", timeout=10)
    succeeded = await client.executions(instance_id=slow.id, status="succeeded")
    assert [execution["tags"] for execution in succeeded] == [{"order_id": "0"}]
    spot.release()
