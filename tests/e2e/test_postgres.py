"""The same product on PostgreSQL: the road, a retry, duplicates at once, a delete."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from store.migrate import upgrade
from tests.e2e.client import Client, fresh
from tests.e2e.conftest import connected
from tests.e2e.definitions import ROAD, call
from tests.e2e.target import Answer, Spot
from tests.fixtures.postgres import Cluster
from tests.fixtures.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def postgres_of_the_stack(postgres_cluster: Cluster) -> Iterator[str]:
    with postgres_cluster.empty_database() as url:
        upgrade(url)
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(tmp_path_factory: pytest.TempPathFactory, postgres_of_the_stack: str) -> AsyncIterator[Client]:
    stack = Stack(tmp_path_factory.mktemp("postgres"), postgres_of_the_stack)
    try:
        await stack.heal()
        async with connected(stack) as http:
            yield Client(http)
    finally:
        await stack.stop()


async def test_road_on_postgres(client: Client, spot: Spot) -> None:
    spot.script("/order", Answer(body={"lines": [{"sku": "bolt"}]}))
    made = await client.provision(ROAD, shop={"token": "token-of-the-shop"}, endpoint=spot.url)
    body = b'{"id":  "\xc3\x84-1"}'
    execution_id = await client.delivered(
        made.url("orders"), content=body, headers={"Content-Type": "application/json"}
    )
    execution = await client.wait_for(execution_id, "succeeded")
    assert [step["path"] for step in execution["steps"]] == ["order", "say", "lines", "lines[0].ship"]
    assert execution["tags"] == {"order_id": "Ä-1"}
    assert (await client.http.get(f"/v1/executions/{execution_id}/payload/raw")).content == body
    lines = await client.all_of("/v1/logs", instance_id=made.id, q="order ä-")
    assert [line["step"] for line in lines] == ["say"]
    found = await client.executions(instance_id=made.id, min_duration_seconds=0.001, q="ä-1")
    assert [each["id"] for each in found] == [execution_id]

    path = f"/v1/instances/{made.id}"
    deleting = await client.call("DELETE", path, expect=202, params={"confirm_name": made.instance["name"]})
    assert (await client.wait_for_job(deleting["job_id"], timeout=60))["state"] == "succeeded"
    await client.call("GET", path, expect=404)


async def test_retry_on_postgres(client: Client, spot: Spot) -> None:
    spot.script("/post", Answer(500), Answer(200))
    made = await client.provision(call(retry="{retries: 1, delay: 1s}"), endpoint=spot.url)
    execution = await client.wait_for(await client.delivered(made.url("call"), json={"id": 1}), "succeeded")
    assert [step["status"] for step in execution["steps"]] == ["failed", "succeeded"]


async def test_concurrent_duplicates_on_postgres(client: Client, spot: Spot) -> None:
    made = await client.provision(call(), endpoint=spot.url)
    headers = {"Idempotency-Key": fresh("key")}
    answers = await asyncio.gather(*(client.deliver(made.url("call"), json={}, headers=headers) for _ in range(20)))
    assert len({answer["execution_id"] for answer in answers}) == 1
    assert sum(answer["duplicate"] for answer in answers) == 19
    await client.wait_for(answers[0]["execution_id"], "succeeded")
    assert len(spot.calls) == 1
