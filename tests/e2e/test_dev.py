"""`flowgraft dev`, as a person meets it: what it prints works, two of them get along, Ctrl-C leaves nothing behind."""

import asyncio
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from cli.dev import UI_OFFSET
from runtime.devserver import die_with_parent, free_port
from tests.e2e.client import Client

pytestmark = pytest.mark.asyncio(loop_scope="session")

START_SECONDS = 90.0
STOP_SECONDS = 20.0


@dataclass
class Dev:
    process: subprocess.Popen[bytes]
    data_dir: Path
    text: str

    @property
    def url(self) -> str:
        return self._printed(r"API +(http://\S+)/v1\n")

    @property
    def ui_url(self) -> str:
        return self._printed(r"Temporal Web UI +(http://\S+)\n")

    @property
    def key(self) -> str:
        return self._printed(r"API key +(\S+)\n")

    @property
    def curls(self) -> list[str]:
        return re.findall(r"curl .*", self.text)

    def seeded(self, status: str) -> str:
        return self._printed(rf"{status} +http://\S+/v1/executions/(\S+)\n")

    def _printed(self, pattern: str) -> str:
        found = re.search(pattern, self.text)
        assert found, f"nothing like {pattern} in:\n{self.text}"
        return found[1]


async def test_dev_from_its_first_start_to_its_second(tmp_path: Path) -> None:
    async with _dev(tmp_path / "one") as one, _dev(tmp_path / "two") as two:
        seeded = [one.seeded("succeeded"), one.seeded("retrying")]
        async with _connected(one) as client, _connected(two) as other:
            assert [(await client.execution(each))["status"] for each in seeded] == ["succeeded", "retrying"]
            assert (await other.execution(two.seeded("succeeded")))["status"] == "succeeded"
            await other.call("GET", f"/v1/executions/{seeded[0]}", expect=404)
            settings = await client.call("GET", f"{one.ui_url}/api/v1/settings")
            assert settings["Codec"]["Endpoint"].startswith(f"{one.url}/codec/")

            sent, looked = [await _shell(line) for line in one.curls]
            assert '"duplicate":false' in sent
            execution_id = sent.partition('"execution_id":"')[2].partition('"')[0]
            assert execution_id in looked
            await client.wait_for(execution_id, "succeeded")
            known = [each["id"] for each in await client.executions()]
            assert len(known) == 3
        await _interrupt(one)
        assert two.process.poll() is None

    async with _dev(tmp_path / "one") as again, _connected(again) as client:
        assert again.key == one.key
        assert [again.seeded("succeeded"), again.seeded("retrying")] == seeded
        assert [each["id"] for each in await client.executions()] == known
        assert len(await client.all_of("/v1/instances")) == 2


async def test_dev_says_what_is_wrong_when_its_port_is_taken(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        process = _launch(tmp_path, port, _temporal_port())
        try:
            output, _ = await asyncio.to_thread(process.communicate, timeout=START_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 1
    assert str(port) in output.decode()
    assert _left_behind(tmp_path) == []


@asynccontextmanager
async def _dev(data_dir: Path) -> AsyncIterator[Dev]:
    """Up and seeded; ended by Ctrl-C, if it has not been already."""
    process = _launch(data_dir, free_port(), _temporal_port())
    try:
        dev = Dev(process, data_dir, await asyncio.to_thread(_announcement, process))
        yield dev
        await _interrupt(dev)
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def _launch(data_dir: Path, port: int, temporal_port: int) -> subprocess.Popen[bytes]:
    options = ["--data-dir", str(data_dir), "--port", str(port), "--temporal-port", str(temporal_port)]
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "dev", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=die_with_parent(),
    )


def _announcement(process: subprocess.Popen[bytes]) -> str:
    """All it prints up to the last line, or up to its end when it fails."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.decode())
        if "executions?limit=1" in lines[-1]:
            break
    return "".join(lines)


async def _interrupt(dev: Dev) -> None:
    if dev.process.poll() is not None:
        return
    dev.process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(dev.process.wait, STOP_SECONDS) == 0
    assert _left_behind(dev.data_dir) == []


def _left_behind(data_dir: Path) -> list[str]:
    """Processes that have the data directory in their arguments or their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + b"\0" + (process / "environ").read_bytes()
        except OSError:
            continue  # It has ended, or belongs to somebody else.
        if str(data_dir).encode() in words:
            found.append(f"{process.name}: {words[:200]!r}")
    return found


def _temporal_port() -> int:
    """One whose Web UI has a port as well: all of them, unless chance hits the last thousand."""
    return next(port for port in iter(free_port, None) if port + UI_OFFSET < 65_536)


def _connected_client(dev: Dev) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {dev.key}"}
    return httpx2.AsyncClient(base_url=dev.url, headers=headers, timeout=40, trust_env=False)


@asynccontextmanager
async def _connected(dev: Dev) -> AsyncIterator[Client]:
    async with _connected_client(dev) as http:
        yield Client(http)


async def _shell(line: str) -> str:
    done = await asyncio.to_thread(subprocess.run, [*shlex.split(line), "-sS"], capture_output=True, check=True)
    return done.stdout.decode()
