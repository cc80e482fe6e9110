"""What is measured: bare Temporal and the product, each as real processes on one shared Temporal server."""

import base64
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx2

from bench.processes import until_answering
from runtime.devserver import DevServer, die_with_parent, free_port
from store.migrate import upgrade

API_KEY = "bench-key-of-at-least-24-characters"
DEFINITION = """
schema: flowgraft/v1
key: bench-{steps}
name: Bench of {steps}
config: [{{page: Options, fields: [{{key: target, type: string}}]}}]
flows:
  - key: hook
    trigger: {{type: webhook}}
    steps: [{body}]
"""


@dataclass(frozen=True)
class Subject:
    """`urls` by the number of HTTP steps; `workflow` is its type in Temporal; `processes` by name."""

    name: str
    workflow: str
    urls: dict[int, str]
    processes: dict[str, int]


@asynccontextmanager
async def subjects(directory: Path, server: DevServer, steps: tuple[int, ...]) -> AsyncIterator[list[Subject]]:
    target = f"http://127.0.0.1:{free_port()}"
    with _python("bench.target", target.rpartition(":")[2]):
        async with _bare(server, target, steps) as bare, _product(directory, server, target, steps) as product:
            yield [bare, product]


@asynccontextmanager
async def _bare(server: DevServer, target: str, steps: tuple[int, ...]) -> AsyncIterator[Subject]:
    port = free_port()
    with (
        _python("bench.bare", "api", server.address, str(port), target) as api,
        _python("bench.bare", "worker", server.address) as worker,
    ):
        await until_answering(f"http://127.0.0.1:{port}/docs")
        urls = {count: f"http://127.0.0.1:{port}/{count}" for count in steps}
        yield Subject("bare", "Bare", urls, {"api": api.pid, "worker": worker.pid, "server": server.pid or 0})


@asynccontextmanager
async def _product(directory: Path, server: DevServer, target: str, steps: tuple[int, ...]) -> AsyncIterator[Subject]:
    port = free_port()
    database_url = f"sqlite+aiosqlite:///{directory / 'flowgraft.db'}"
    upgrade(database_url)
    environment = {
        "FLOWGRAFT_DATABASE_URL": database_url,
        "FLOWGRAFT_BOOTSTRAP_API_KEY": API_KEY,
        "FLOWGRAFT_ENCRYPTION_KEYS": f"bench:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "FLOWGRAFT_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "FLOWGRAFT_ALLOWED_NETWORKS": "127.0.0.0/8",
        "FLOWGRAFT_TEMPORAL_ADDRESS": server.address,
        "FLOWGRAFT_LOG_LEVEL": "warning",
    }
    with (
        _python("cli.main", "api", "--port", str(port), **environment) as api,
        _python("worker", **environment) as worker,
    ):
        await until_answering(f"http://127.0.0.1:{port}/readyz")
        urls = await _instances(f"http://127.0.0.1:{port}", target, steps)
        yield Subject("flowgraft", "Execution", urls, {"api": api.pid, "worker": worker.pid, "server": server.pid or 0})


async def _instances(url: str, target: str, steps: tuple[int, ...]) -> dict[int, str]:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=40, trust_env=False) as client:
        customer = await _made(client, "/v1/customers", json={"name": "Bench"})
        return {count: await _instance(client, customer["id"], target, count) for count in steps}


async def _instance(client: httpx2.AsyncClient, customer_id: str, target: str, count: int) -> str:
    body = ", ".join(
        f'{{key: get{number}, action: http.get, inputs: {{url: "{{{{ config.target }}}}/orders/7"}}}}'
        for number in range(count)
    )
    text = DEFINITION.format(steps=count, body=body)
    yaml = {"Content-Type": "application/yaml"}
    integration = await _made(client, "/v1/integrations", content=text, headers=yaml)
    await _made(client, f"/v1/integrations/{integration['id']}/versions")
    config = {"customer_id": customer_id, "name": f"Bench of {count}", "config": {"target": target}}
    instance = await _made(client, "/v1/instances", json=config | {"integration_id": integration["id"]})
    deployed = await _made(client, f"/v1/instances/{instance['id']}/deploy")
    return str(deployed["webhook_urls"]["hook"])


async def _made(client: httpx2.AsyncClient, path: str, **options: Any) -> dict[str, Any]:
    response = await client.post(path, **options)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


@contextmanager
def _python(*arguments: str, **environment: str) -> Iterator[Popen[bytes]]:
    command = [sys.executable, "-m", *arguments]
    process = Popen(command, env={**os.environ, **environment}, preexec_fn=die_with_parent())
    try:
        yield process
    finally:
        process.terminate()
        process.wait(40)
