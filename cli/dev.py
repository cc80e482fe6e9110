"""`flowgraft dev`: one process tree on this machine, and everything in one data directory."""

import asyncio
import base64
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import typer

from cli.processes import Child
from cli.seed import Seeded, seed
from cli.target import served
from runtime.devserver import DevServer, pick_port
from runtime.ids import new_secret
from store.migrate import upgrade

API_PORT = 8700
TEMPORAL_PORT = 7233
UI_OFFSET = 1000
LOOPBACK = "127.0.0.0/8,::1/128"
READY_SECONDS = 60.0


@dataclass(frozen=True)
class DevOptions:
    """`None` for a port: the default one or the next free one."""

    port: int | None
    data_dir: Path
    temporal_port: int | None
    seed: bool


@dataclass(frozen=True)
class Stack:
    """Where everything is."""

    data_dir: Path
    api_port: int
    temporal_port: int
    ui_port: int
    target_port: int
    api_key: str
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def ui_url(self) -> str:
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def target_url(self) -> str:
        return f"http://127.0.0.1:{self.target_port}"


class DevFailed(Exception):
    """Something did not start, or ended by itself; the message is for the terminal."""


def run_dev(options: DevOptions) -> int:
    """Until Ctrl-C or SIGTERM. The exit code."""
    try:
        return asyncio.run(_run(options))
    except DevFailed as error:
        typer.echo(str(error), err=True)
        return 1


async def _run(options: DevOptions) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stack = prepare(options)
    async with running(stack, stop) as children:
        seeded = await seed(stack.url, stack.api_key, stack.target_url) if options.seed else None
        _announce(stack, seeded)
        await _until(stop, children)
        typer.echo("\nStopping …")
    return 0


def prepare(options: DevOptions) -> Stack:
    """Picks the ports, makes the keys of a new data directory, brings its database up to date."""
    data_dir = options.data_dir.absolute()
    (data_dir / "logs").mkdir(parents=True, exist_ok=True)
    api_port = options.port or pick_port(API_PORT)
    temporal_port = options.temporal_port or pick_port(TEMPORAL_PORT)
    ui_port = temporal_port + UI_OFFSET
    target_port = pick_port(api_port + 1)
    api_key = _kept(data_dir / "api_key", lambda: f"fg_dev_{new_secret()}")
    keys = _kept(data_dir / "encryption_keys", lambda: f"dev:{base64.b64encode(secrets.token_bytes(32)).decode()}")
    database_url = f"sqlite+aiosqlite:///{data_dir / 'flowgraft.db'}"
    ours = {
        "FLOWGRAFT_DATABASE_URL": database_url,
        "FLOWGRAFT_BOOTSTRAP_API_KEY": api_key,
        "FLOWGRAFT_ENCRYPTION_KEYS": keys,
        "FLOWGRAFT_PUBLIC_URL": f"http://127.0.0.1:{api_port}",
        "FLOWGRAFT_TEMPORAL_UI_URL": f"http://127.0.0.1:{ui_port}",
        "FLOWGRAFT_TEMPORAL_ADDRESS": f"127.0.0.1:{temporal_port}",
        "FLOWGRAFT_CODEC_CAPABILITY": new_secret(),
        "FLOWGRAFT_CODEC_UI_ORIGIN": f"http://127.0.0.1:{ui_port}",
    }
    environment = {"FLOWGRAFT_ALLOWED_NETWORKS": LOOPBACK, **os.environ, **ours}
    upgrade(database_url)
    return Stack(data_dir, api_port, temporal_port, ui_port, target_port, api_key, environment)


@asynccontextmanager
async def running(stack: Stack, stop: asyncio.Event) -> AsyncIterator[list[Child]]:
    """The Temporal server, the API, the worker and the example target; all gone afterwards."""
    logs = stack.data_dir / "logs"
    server = DevServer(
        stack.temporal_port,
        ui_port=stack.ui_port,
        db_file=stack.data_dir / "temporal.db",
        log_file=logs / "temporal.log",
        codec_endpoint=f"{stack.url}/codec/{stack.environment['FLOWGRAFT_CODEC_CAPABILITY']}",
    )
    children = [
        Child("api", ["cli.main", "api", "--port", str(stack.api_port)], stack.environment, logs / "api.log"),
        Child("worker", ["worker"], stack.environment, logs / "worker.log"),
    ]
    try:
        await _start(server)
        async with served(stack.target_port):
            for child in children:
                child.start()
            await _until_ready(stack, children, stop)
            yield children
    finally:
        for child in children:
            child.ask_to_stop()
        await asyncio.gather(*(child.wait() for child in children))
        await server.stop()


async def _start(server: DevServer) -> None:
    try:
        await server.start()
    except RuntimeError as error:
        raise DevFailed(str(error)) from error


async def _until_ready(stack: Stack, children: list[Child], stop: asyncio.Event) -> None:
    deadline = asyncio.get_running_loop().time() + READY_SECONDS
    async with httpx2.AsyncClient(base_url=stack.url, timeout=5, trust_env=False) as client:
        while not stop.is_set():
            _ensure_alive(children)
            if await _ready(client):
                return
            if asyncio.get_running_loop().time() > deadline:
                raise DevFailed(f"The API was not ready within {READY_SECONDS:g} s, see {children[0].log_file}")
            await asyncio.sleep(0.1)


async def _ready(client: httpx2.AsyncClient) -> bool:
    try:
        return bool((await client.get("/readyz")).json().get("status") == "ready")
    except (httpx2.HTTPError, ValueError):
        return False


async def _until(stop: asyncio.Event, children: list[Child]) -> None:
    while not stop.is_set():
        _ensure_alive(children)
        try:
            await asyncio.wait_for(stop.wait(), 1.0)
        except TimeoutError:
            continue


def _ensure_alive(children: list[Child]) -> None:
    for child in children:
        if child.ended:
            raise DevFailed(f"The {child.name} ended by itself ({child.log_file}):\n{child.last_words()}")


def _kept(path: Path, make: Callable[[], str]) -> str:
    """A secret that belongs to the data directory: made once, readable by its owner only."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(make())
    return path.read_text().strip()


def _announce(stack: Stack, seeded: Seeded | None) -> None:
    lines = [
        "",
        "Flowgraft is up. Ctrl-C ends everything; starting again keeps the data.",
        "",
        f"  API               {stack.url}/v1",
        f"  API docs          {stack.url}/docs",
        f"  Temporal Web UI   {stack.ui_url}",
        f"  API key           {stack.api_key}",
        f"  Data and logs     {stack.data_dir}",
    ]
    if seeded is not None:
        lines += ["", "Two example instances, each with one execution:"]
        for found in (seeded.green, seeded.red):
            lines.append(f"  {found.status:<18}{stack.url}/v1/executions/{found.execution_id}")
            lines.append(f"{'':20}{stack.ui_url}/namespaces/default/workflows/{found.execution_id}")
        lines += [
            "",
            "Send a webhook, then look at its execution:",
            f"  curl -X POST {seeded.green.webhook_url} -H 'Content-Type: application/json' -d '{{\"id\": 42}}'",
            f"  curl '{stack.url}/v1/executions?limit=1' -H 'Authorization: Bearer {stack.api_key}'",
        ]
    typer.echo("\n".join([*lines, ""]))
