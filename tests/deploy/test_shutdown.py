"""SIGTERM, as an orchestrator sends it: what runs is finished and recorded, the exit code is 0, within 30 seconds."""

import asyncio
import json
import os
import signal
from pathlib import Path

import httpx2
import pytest

from runtime.devserver import free_port
from tests.deploy.conftest import Place
from tests.deploy.test_dashboard import OF_THE_SDK
from tests.e2e.client import Client
from tests.e2e.definitions import THREE, call
from tests.e2e.target import Answer, Spot


async def test_api_answers_what_it_has_begun(place: Place, client: Client) -> None:
    api, worker = await asyncio.gather(place.api(), place.worker())
    made = await client.provision(call(), endpoint="http://127.0.0.1:1")
    body = json.dumps({"id": "1" * 100}).encode()
    head = f"POST {httpx2.URL(made.url('call')).path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:50])
    await writer.drain()
    await asyncio.sleep(0.3)

    api.popen.terminate()
    async with asyncio.timeout(5):
        while not await refused(place.port):
            await asyncio.sleep(0.05)
    assert api.running
    writer.write(body[50:])
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert await api.ended() == 0
    worker.popen.terminate()
    assert await worker.ended() == 0

    await place.api()
    execution = await client.execution(json.loads(answer.partition(b"\r\n\r\n")[2])["execution_id"])
    assert execution["tags"] == {"order_id": "1" * 100}


async def test_api_does_not_wait_for_those_who_follow(place: Place, client: Client) -> None:
    """Live updates would go on for a quarter of an hour."""
    api = await place.api()
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    head = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {client.http.headers['authorization']}\r\n\r\n"
    writer.write(head.encode())
    assert (await reader.readuntil(b": open")).startswith(b"HTTP/1.1 200 ")
    api.popen.terminate()
    async with asyncio.timeout(10):
        assert b"event:" not in await reader.read()
        assert await api.ended() == 0
    writer.close()


@pytest.mark.parametrize("warm", [False, True], ids=["first time", "known to be short"])
async def test_worker_finishes_and_records_its_step(place: Place, client: Client, spot: Spot, warm: bool) -> None:
    _, worker = await asyncio.gather(place.api(), place.worker())
    made = await client.provision(THREE, endpoint=spot.url)
    for _ in range(warm):
        await client.wait_for(await client.delivered(made.url("three")), "succeeded")
    spot.hold("/second")
    execution_id = await client.delivered(made.url("three"))
    await spot.until_called("/second", 1 + warm)
    worker.popen.terminate()
    await asyncio.sleep(1)
    assert worker.running
    spot.release()
    assert await worker.ended() == 0

    execution = await client.execution(execution_id)
    assert {step["path"]: step["status"] for step in execution["steps"]}["second"] == "succeeded"
    await place.worker()
    await client.wait_for(execution_id, "succeeded")
    assert [len(spot.called(path)) for path in ("/first", "/second", "/third")] == [1 + warm] * 3


async def test_workers_serve_their_metrics_and_end_together(place: Place, client: Client, spot: Spot) -> None:
    port = metrics_port()
    starts = place.api(), place.worker("--processes", "2", metrics_port=port, processes=2)
    _, workers = await asyncio.gather(*starts)
    spot.script("/post", Answer(delay=2))
    made = await client.provision(call(), endpoint=spot.url)
    await client.wait_for(await client.delivered(made.url("call"), json={"id": 1}), "succeeded")
    ours = await scraped(port) + await scraped(port + 2)
    key = made.integration["key"]
    assert f'flowgraft_executions_finished_total{{flow="call",integration="{key}",status="succeeded"}} 1.0' in ours
    assert 'flowgraft_step_attempts_total{action="post",component="http",outcome="succeeded"} 1.0' in ours
    temporals = await scraped(port + 1) + await scraped(port + 3)
    assert {name for name in OF_THE_SDK if f"\n{name}{{" not in temporals} == set()

    await client.delivered(made.url("call"), json={"id": 2})
    await spot.until_called("/post", 2)
    workers.popen.terminate()
    assert await workers.ended() == 0
    assert len(spot.called("/post")) == 2
    assert workers.says("worker_stopping", 2)


async def test_workers_end_when_one_of_them_dies(place: Place) -> None:
    workers = await place.worker("--processes", "2", processes=2)
    os.kill(children_of(workers.popen.pid)[0], signal.SIGKILL)
    assert await workers.ended() == 1
    assert workers.says("worker_stopping", 1)


async def refused(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def scraped(port: int) -> str:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://127.0.0.1:{port}/metrics")).raise_for_status().text


def metrics_port() -> int:
    """With three free ones after it: all of them, unless chance hits."""
    return next(port for port in iter(free_port, None) if port < 65_000)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
