"""`make cluster`, as far as it needs no Go: Temporal's development server stands in for the real one."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import yaml

from deploy.cluster.cluster import DATABASE, Ports, thrown_away
from deploy.cluster.postgres import PostgresServer
from deploy.cluster.temporal import server_environment
from runtime.devserver import die_with_parent, find_binary, free_port

ROOT = Path(__file__).parent.parent.parent
SERVER = f"""\
#!/bin/sh
exec {find_binary()} server start-dev --headless --ip 127.0.0.1 --port "$FRONTEND_GRPC_PORT"
"""
START_SECONDS = 90.0


@pytest.fixture
def directory() -> Iterator[Path]:
    with thrown_away() as directory:
        yield directory


@pytest.fixture
def binaries(directory: Path) -> Path:
    """`sql` is content with everything, because the stand-in has a database of its own."""
    for name, text in (("server", SERVER), ("sql", "#!/bin/sh\n")):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    return directory


class Terminal:
    """`make cluster`, and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def until(self, pattern: str) -> str:
        """The first group of a pattern in what it prints from here on."""
        assert self.process.stdout is not None
        self.text = ""
        async with asyncio.timeout(START_SECONDS):
            while not (found := re.search(pattern, self.text)):
                line = await self.process.stdout.readline()
                assert line, f"it ended, without {pattern}:\n{self.text}"
                self.text += line.decode()
        return found[1]


@pytest.fixture
async def terminal(directory: Path, binaries: Path) -> AsyncIterator[Terminal]:
    options = ["--temporal-bin", str(binaries), "--data-dir", str(directory / "data")]
    for name in ("port", "temporal-port", "postgres-port"):
        options += [f"--{name}", str(free_port())]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.cluster",
        *options,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_parent(),
    )
    yield Terminal(process)
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_cluster_is_up_is_mended_and_ends_at_once(terminal: Terminal, directory: Path) -> None:
    postgres = int(await terminal.until(r"PostgreSQL (\d+) ·"))
    assert len(re.findall(r"API  +http://\S+/v1\n", terminal.text)) == 2
    assert re.search(r"API key  +fg_\S{30,}\n", terminal.text)
    os.kill(postgres, signal.SIGKILL)
    assert await terminal.until(r"Ended: (.+)\. Starting again") == "PostgreSQL"
    assert int(await terminal.until(r"PostgreSQL (\d+) ·")) != postgres
    worker = int(terminal.text.rpartition("worker 2 ")[2])
    os.kill(worker, signal.SIGKILL)
    assert await terminal.until(r"Ended: (.+)\. Starting again") == "worker 2"

    terminal.process.send_signal(signal.SIGINT)
    async with asyncio.timeout(40):
        assert await terminal.process.wait() == 0
    assert _left_behind(directory) == []


def test_cluster_says_what_it_lacks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.cluster", "--temporal-bin", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"in {tmp_path}: `make cluster` builds them" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_committed_survives_a_kill(directory: Path) -> None:
    server = PostgresServer(directory / "postgres", free_port(), DATABASE)
    try:
        server.start()
        url = server.url("postgres").replace("postgresql+psycopg://flowgraft@", "postgresql://postgres@")
        with psycopg.connect(url) as connection:
            for name in ("fsync", "full_page_writes", "synchronous_commit"):
                assert connection.execute(f"SHOW {name}".encode()).fetchone() == ("on",)
            connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
        server.kill()
        assert (server.running, server.pids) == (False, [])
        server.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (42,)
    finally:
        server.stop()


def test_temporal_is_configured_as_in_compose() -> None:
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["temporal"]
    wanted = {name: str(value) for name, value in service["environment"].items()}
    given = server_environment(5433, 7000, count(7001))
    own = {name for name in given if name.endswith("_PORT")} | {"POSTGRES_SEEDS", "BIND_ON_IP"}
    own |= {"DYNAMIC_CONFIG_FILE_PATH", "POSTGRES_PWD", "PROMETHEUS_ENDPOINT"}
    assert {name: given[name] for name in given if name not in own} == {
        name: wanted[name] for name in wanted if name not in own
    }
    assert (given["POSTGRES_SEEDS"], given["BIND_ON_IP"], given["DB_PORT"]) == ("127.0.0.1", "127.0.0.1", "5433")
    dynamic = Path(given["DYNAMIC_CONFIG_FILE_PATH"])
    assert dynamic == ROOT / service["volumes"][0].split(":")[0]
    assert dynamic.is_file()


def test_temporals_ports_are_nine_different_ones() -> None:
    given = server_environment(5433, 7000, count(7001))
    ports = [value for name, value in given.items() if name.endswith("_PORT") and name != "DB_PORT"]
    assert len(ports) == len(set(ports)) == 9
    assert given["FRONTEND_GRPC_PORT"] == "7000"


def test_server_is_of_the_version_in_compose() -> None:
    image = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["temporal"]["image"]
    found = re.search(r"^TEMPORAL := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    assert image == f"temporalio/server:{found[1]}"


def test_default_ports_are_not_lent_to_outgoing_connections() -> None:
    """Else one of those may sit on a killed part's port when it is to start again."""
    lent = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(lent.read_text().split()[0]) if lent.exists() else 32_768
    assert max(vars(Ports()).values()) + 100 < first


def _left_behind(directory: Path) -> list[str]:
    """Processes that have the directory in their arguments or their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + b"\0" + (process / "environ").read_bytes()
        except OSError:
            continue  # It has ended, or belongs to somebody else.
        if str(directory).encode() in words:
            found.append(f"{process.name}: {words[:200]!r}")
    return found
