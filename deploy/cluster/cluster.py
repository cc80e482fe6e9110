"""All processes of one installation, each of which can be killed and started again by itself."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from cli.processes import Child
from deploy.cluster.postgres import PostgresServer
from deploy.cluster.temporal import TemporalServer
from runtime.devserver import HOST, NAMESPACE, pick_port
from store.migrate import upgrade

DEPLOY = Path(__file__).parent.parent
OF_EACH = 2  # APIs and workers
DATABASE = {"max_connections": "300"}  # and nothing that would forget: fsync and synchronous_commit are on
LOOPBACK = "127.0.0.0/8,::1/128"
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Ports:
    """Where to look for free ones. Below the range of outgoing connections, lest one takes a killed part's port."""

    api: int = 8700
    temporal: int = 7233
    postgres: int = 5432
    metrics: int = 9464


@dataclass
class Cluster:
    """`temporal_binaries` as `TemporalServer` wants them. `more_settings` go to the APIs and workers."""

    directory: Path
    temporal_binaries: Path
    ports: Ports = Ports()
    more_settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.logs = self.directory / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        api, metrics = _free(self.ports.api), _free(self.ports.metrics, step=2)  # Temporal's SDK has the odd ones
        self.api_ports = [next(api) for _ in range(OF_EACH)]
        self._metrics_ports = [next(metrics) for _ in range(OF_EACH)]
        self.postgres = PostgresServer(self.directory / "postgres", next(_free(self.ports.postgres)), DATABASE)
        self.temporal = TemporalServer(
            self.temporal_binaries, self.postgres, _free(self.ports.temporal), self.logs / "temporal.log"
        )
        self.apis = [
            self._child(f"API {number}", "cli.main", "api", "--port", str(port))
            for number, port in enumerate(self.api_ports, 1)
        ]
        self.workers = [
            self._child(f"worker {number}", "worker", "--metrics-port", str(port))
            for number, port in enumerate(self._metrics_ports, 1)
        ]

    @property
    def urls(self) -> list[str]:
        return [f"http://{HOST}:{port}" for port in self.api_ports]

    @property
    def database_url(self) -> str:
        return self.postgres.url("flowgraft")

    @property
    def api_key(self) -> str:
        return (self.directory / "keys" / "bootstrap_api_key").read_text()

    @property
    def pids(self) -> dict[str, list[int]]:
        """Of what runs."""
        children = {child.name: [child.pid] for child in self._children if child.pid is not None}
        return {name: pids for name, pids in ({"PostgreSQL": self.postgres.pids} | children).items() if pids}

    @property
    def dead(self) -> list[str]:
        return [name for name in ("PostgreSQL", *(child.name for child in self._children)) if name not in self.pids]

    async def start(self) -> None:
        """New or once more. Returns when everything works; raises RuntimeError with the last words of what does not."""
        await asyncio.to_thread(self._make_keys)
        self.postgres.launch()
        await asyncio.to_thread(self._prepare_databases)
        await self.heal()

    async def heal(self) -> None:
        """Starts what is not running; returns when everything works."""
        if not self.postgres.running:
            self.postgres.launch()
            await asyncio.to_thread(self.postgres.wait_until_ready)
        if self.temporal.pid is None:
            await self.temporal.start()
        for child in (*self.apis, *self.workers):
            if not child.running:
                child.start()
        await self._until_ready()

    async def stop(self) -> None:
        ours = [*self.apis, *self.workers]
        for child in ours:
            child.ask_to_stop()
        await asyncio.gather(*(child.wait() for child in ours))
        await self.temporal.stop()
        await asyncio.to_thread(self.postgres.stop)

    @property
    def _children(self) -> list[Child]:
        return [self.temporal.process, *self.apis, *self.workers]

    def _make_keys(self) -> None:
        directory = self.directory / "keys"
        directory.mkdir(mode=0o700, exist_ok=True)
        _script("make-keys.sh", str(directory))

    def _prepare_databases(self) -> None:
        self.postgres.wait_until_ready()
        if not self.postgres.has_database("flowgraft"):
            _script("postgres/databases.sh", environment=self.postgres.for_clients() | {"ACCOUNTS_PASSWORD": "unused"})
        upgrade(self.database_url)
        self.temporal.bring_schema_up()

    def _child(self, name: str, *arguments: str) -> Child:
        log_file = self.logs / f"{name.lower().replace(' ', '')}.log"
        return Child(name, arguments, self.settings(), log_file)

    def settings(self) -> dict[str, str]:
        """The environment of its APIs and workers."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("FLOWGRAFT", "TEMPORAL"))
        }
        keys = self.directory / "keys"
        return inherited | {
            "FLOWGRAFT_DATABASE_URL": self.database_url,
            "FLOWGRAFT_ENCRYPTION_KEYS_FILE": str(keys / "encryption_keys"),
            "FLOWGRAFT_BOOTSTRAP_API_KEY_FILE": str(keys / "bootstrap_api_key"),
            "FLOWGRAFT_PUBLIC_URL": self.urls[0],
            "FLOWGRAFT_ALLOWED_NETWORKS": LOOPBACK,
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            **self.more_settings,
        }

    async def _until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        wanted: list[tuple[Child, str, Callable[[httpx2.Response], bool]]] = [
            *((api, f"{url}/readyz", _is_ready) for api, url in zip(self.apis, self.urls, strict=True)),
            *(
                (worker, f"http://{HOST}:{port}/metrics", lambda answer: answer.is_success)
                for worker, port in zip(self.workers, self._metrics_ports, strict=True)
            ),
        ]
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
            for child, url, is_good in wanted:
                while not await _answers(client, url, is_good):
                    if not child.running or asyncio.get_running_loop().time() > deadline:
                        raise RuntimeError(f"{child.name} is not ready:\n{child.last_words()}")
                    await asyncio.sleep(0.1)


@contextmanager
def thrown_away() -> Iterator[Path]:
    """A directory for one cluster, open to the account that PostgreSQL runs under, which need not be ours."""
    with tempfile.TemporaryDirectory(prefix="flowgraft-cluster-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield directory


def _is_ready(answer: httpx2.Response) -> bool:
    return bool(answer.json().get("status") == "ready")


async def _answers(client: httpx2.AsyncClient, url: str, is_good: Callable[[httpx2.Response], bool]) -> bool:
    try:
        return is_good(await client.get(url))
    except (httpx2.HTTPError, ValueError):
        return False


def _free(first: int, step: int = 1) -> Iterator[int]:
    port = first
    while True:
        port = pick_port(port)
        yield port
        port += step


def _script(name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """One of those that docker-compose.yml mounts."""
    command = ["/bin/sh", str(DEPLOY / name), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr.decode(errors='replace')}")
