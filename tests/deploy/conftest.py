"""A Temporal server, a database and commands of the product as processes of their own, for tests that end them."""

import asyncio
import base64
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import httpx2
import pytest

from runtime.devserver import DevServer, die_with_parent, free_port
from tests.e2e.client import Client
from tests.e2e.target import Spot, running_target

ADMIN_KEY = "bootstrap-key-of-the-deploy-tests"
GRACE = 30.0


@dataclass
class Process:
    """One command. It ends with this process."""

    popen: "subprocess.Popen[bytes]"
    log: Path

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def says(self, event: str, times: int = 1) -> bool:
        return self.log.read_text().count(f'"event": "{event}"') == times

    async def until(self, event: str, times: int = 1) -> None:
        async with asyncio.timeout(60):
            while not self.says(event, times):
                assert self.running, self.log.read_text()
                await asyncio.sleep(0.05)

    async def ended(self) -> int:
        """The exit code, in time."""
        began = perf_counter()
        code = await asyncio.to_thread(self.popen.wait, GRACE + 5)
        assert perf_counter() - began < GRACE
        return code


@dataclass
class Place:
    directory: Path
    temporal: DevServer
    port: int = field(default_factory=free_port)
    processes: list[Process] = field(default_factory=list)

    def start(self, *arguments: str, metrics_port: int | None = None) -> Process:
        """`flowgraft` with these arguments."""
        log = self.directory / f"{arguments[0]}{len(self.processes)}.log"
        more = {} if metrics_port is None else {"FLOWGRAFT_METRICS_PORT": str(metrics_port)}
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [sys.executable, "-m", "cli.main", *arguments],
                env=self._environment() | more,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        self.processes.append(Process(popen, log))
        return self.processes[-1]

    async def api(self) -> Process:
        """Ready, or able to be: Temporal may be away."""
        process = self.start("api", "--port", str(self.port))
        async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
            while not await _ready(client, f"http://127.0.0.1:{self.port}/readyz"):
                assert process.running, process.log.read_text()
                await asyncio.sleep(0.05)
        return process

    async def worker(self, *options: str, metrics_port: int | None = None, processes: int = 1) -> Process:
        process = self.start("worker", *options, metrics_port=metrics_port)
        await process.until("worker_ready", processes)
        return process

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("FLOWGRAFT", "TEMPORAL"))
        }
        return inherited | {
            "FLOWGRAFT_DATABASE_URL": f"sqlite+aiosqlite:///{self.directory / 'flowgraft.db'}",
            "FLOWGRAFT_BOOTSTRAP_API_KEY": ADMIN_KEY,
            "FLOWGRAFT_ENCRYPTION_KEYS": f"deploy:{base64.b64encode(bytes(32)).decode()}",
            "FLOWGRAFT_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "FLOWGRAFT_ALLOWED_NETWORKS": "127.0.0.0/8",
            "FLOWGRAFT_TEMPORAL_ADDRESS": self.temporal.address,
        }


@pytest.fixture
async def place(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Place]:
    shutil.copyfile(sqlite_template, tmp_path / "flowgraft.db")
    place = Place(tmp_path, DevServer(log_file=tmp_path / "temporal.log"))
    try:
        await place.temporal.start()
        yield place
    finally:
        for process in place.processes:
            process.popen.kill()
            process.popen.wait()
        await place.temporal.stop()


@pytest.fixture
async def spot() -> AsyncIterator[Spot]:
    async with running_target() as target:
        yield target.spot()


@pytest.fixture
async def client(place: Place) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    url = f"http://127.0.0.1:{place.port}"
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=40, trust_env=False) as http:
        yield Client(http)


async def _ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.HTTPError:
        return False
