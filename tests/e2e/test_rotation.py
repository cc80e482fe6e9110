"""Keys rotate while the product works and its worker is killed; then the old key leaves the ring."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from store.migrate import upgrade
from tests.e2e.client import Client, Provision
from tests.e2e.conftest import connected
from tests.e2e.definitions import ROAD
from tests.e2e.target import Answer, Spot
from tests.fixtures.postgres import Cluster
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

K1, K2 = (f"{name}:{base64.b64encode(os.urandom(32)).decode()}" for name in ("k1", "k2"))
BEFORE = 100  # executions, so that a rotation takes some transactions
KILLS = 3


@pytest.fixture(scope="module")
def own_database(postgres_cluster: Cluster) -> Iterator[str]:
    with postgres_cluster.empty_database() as url:
        upgrade(url)
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory, own_database: str) -> AsyncIterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("rotation"), own_database)
    try:
        yield stack
    finally:
        await stack.stop()


async def restart(stack: Stack, *keys: str) -> None:
    stack.use_keys(",".join(keys))
    for child in (*stack.apis, *stack.workers):
        child.ask_to_stop()
        await child.wait()
    await stack.heal()


@dataclass
class Usage:
    """What customers do meanwhile: every answer must be as ever, and what was written last must be there."""

    client: Client
    made: Provision
    ids: list[str] = field(default_factory=list)
    rounds: int = 0

    async def go_on(self) -> None:
        path = f"/v1/instances/{self.made.id}"
        for number in count(1):
            await self.client.configure(self.made.id, {"pin": f"pin-{number}"})
            await self.client.call("GET", f"{path}/config")
            self.ids.append(await self.client.delivered(self.made.url("orders"), json={"id": f"during-{number}"}))
            await self.client.call("GET", f"/v1/executions/{self.ids[0]}/payload")
            self.rounds = number

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.go_on())
        yield
        assert not task.done(), task.exception()
        task.cancel()


async def test_keys_rotate_under_load_and_kills_and_the_old_one_can_go(stack: Stack, spot: Spot) -> None:
    spot.script("/order", *[Answer(body={"lines": [{"sku": "bolt"}]})] * 10_000)
    await restart(stack, K1)
    async with connected(stack) as http:
        client = Client(http)
        made = await client.provision(ROAD, shop={"token": "token-of-the-shop"}, endpoint=spot.url, pin="pin-0")
        deliveries = (client.delivered(made.url("orders"), json={"id": f"b-{number}"}) for number in range(BEFORE))
        before = await asyncio.gather(*deliveries)
        for execution_id in before:
            await client.wait_for(execution_id, "succeeded", timeout=90)
    await restart(stack, K1, K2)  # everybody can read what is written with the new key …
    await restart(stack, K2, K1)  # … before anybody writes with it
    async with connected(stack) as http:
        client = Client(http)
        usage = Usage(client, made)
        async with usage.going_on():
            job = await client.call("POST", "/v1/keys/rotate", expect=202, json={"data_keys": True})
            for _ in range(KILLS):
                await asyncio.sleep(0.4)
                assert (await client.call("GET", f"/v1/jobs/{job['id']}"))["state"] == "running"
                stack.kill_workers()
                stack.start_workers()
            ended = await client.wait_for_job(job["id"], timeout=180)
        assert (ended["state"], ended["failed"]) == ("succeeded", 0), ended
        assert ended["result"]["rewritten"] > BEFORE * 5
        assert usage.rounds > 10
        found = {key["id"]: key for key in (await client.call("GET", "/v1/keys"))["data"]}
        assert found["k1"]["data_keys"] == 0
        assert set(found["k1"]["values"]) <= {"idempotency.answer"}
        assert found["k2"]["data_keys"] == 2
        for execution_id in usage.ids:
            await client.wait_for(execution_id, "succeeded", timeout=90)
    await restart(stack, K2)
    async with connected(stack) as http:
        await _everything_is_readable(Client(http), made, [before[0], before[-1], usage.ids[0], usage.ids[-1]], spot)


async def _everything_is_readable(client: Client, made: Provision, ids: list[str], spot: Spot) -> None:
    assert (await client.call("GET", "/readyz"))["status"] == "ready"
    for execution_id in ids:
        payload = await client.call("GET", f"/v1/executions/{execution_id}/payload")
        execution = await client.execution(execution_id)
        outputs: list[Any] = [step["output"] for step in execution["steps"] if step["path"] == "order"]
        assert payload["body"]["id"].startswith(("b-", "during-"))
        assert outputs[0]["body"] == {"lines": [{"sku": "bolt"}]}
    config = await client.call("GET", f"/v1/instances/{made.id}/config")
    assert config["config_state"] == "configured"
    await client.deploy(made.id)
    execution_id = await client.delivered(made.url("orders"), json={"id": "after"})
    await client.wait_for(execution_id, "succeeded")
    assert spot.calls[-1].headers["authorization"] == "Bearer token-of-the-shop"
