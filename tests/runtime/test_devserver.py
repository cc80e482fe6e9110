import asyncio
import json
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.http import OutgoingRequest
from runtime.devserver import DYNAMIC_CONFIG, DevServer, find_binary, free_port, pick_port
from runtime.http import GuardedHttp
from runtime.settings import Settings
from runtime.temporal import connect

PARENT = """
import asyncio, time
from runtime.devserver import DevServer
server = DevServer()
asyncio.run(server.start())
print(server.pid, flush=True)
time.sleep(60)
"""


@workflow.defn
class Naps:
    @workflow.run
    async def run(self) -> None:
        for _ in range(4):
            await workflow.sleep(timedelta(milliseconds=20))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[DevServer]:
    server = DevServer(db_file=tmp_path / "data" / "temporal.db", log_file=tmp_path / "data" / "temporal.log")
    await server.start()
    yield server
    server.kill()


async def client_of(server: DevServer) -> Client:
    settings = Settings(database_url="sqlite+aiosqlite://", temporal_address=server.address)
    return await connect(settings, DataConverter.default)


async def until(condition: Callable[[], bool]) -> bool:
    for _ in range(250):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return False


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


async def test_server_answers_until_it_is_stopped(server: DevServer) -> None:
    await (await client_of(server)).count_workflows("WorkflowId = 'x'")
    pid = server.pid
    assert pid is not None
    await server.stop()
    assert is_gone(pid)
    assert server.pid is None
    await server.stop()


async def test_killed_server_comes_back_with_what_it_had(server: DevServer) -> None:
    await (await client_of(server)).start_workflow("Any", id="exec_1", task_queue="none")
    server.kill()
    await server.start()
    described = await (await client_of(server)).get_workflow_handle("exec_1").describe()
    assert described.workflow_type == "Any"


async def test_running_server_is_not_started_twice(server: DevServer) -> None:
    with pytest.raises(RuntimeError, match="running already"):
        await server.start()


async def test_server_has_a_session_of_its_own(server: DevServer) -> None:
    """So a Ctrl-C in the terminal does not reach it before us."""
    assert server.pid is not None
    assert os.getsid(server.pid) == server.pid


async def test_short_timers_are_not_a_second_late(temporal_server: DevServer) -> None:
    client = await client_of(temporal_server)
    async with Worker(client, task_queue="naps", workflows=[Naps], workflow_runner=UnsandboxedWorkflowRunner()):
        started = time.monotonic()
        await client.execute_workflow(Naps.run, id="naps", task_queue="naps")
    assert time.monotonic() - started < 3.0


async def test_taken_port_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = DevServer(other.getsockname()[1])
        with pytest.raises(RuntimeError, match="is taken"):
            await server.start()


async def test_server_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    server = DevServer(db_file=tmp_path, log_level="error")
    with pytest.raises(RuntimeError, match=r"the Temporal server ended: .+"):
        await server.start()
    assert server.pid is None


async def test_server_that_does_not_answer_in_time_is_ended() -> None:
    server = DevServer()
    with pytest.raises(RuntimeError, match="did not answer within"):
        await server.start(timeout=0.001)
    assert server.pid is None


async def test_web_ui_knows_the_codec_endpoint() -> None:
    endpoint = "http://127.0.0.1:8700/codec/capability"
    server = DevServer(ui_port=free_port(), codec_endpoint=endpoint)
    await server.start()
    http = GuardedHttp([ip_network("127.0.0.0/8")])
    try:
        answer = await http.send(OutgoingRequest("GET", f"{server.ui_url}/api/v1/settings", []))
        assert json.loads(answer.body)["Codec"]["Endpoint"] == endpoint
    finally:
        await http.aclose()
        server.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
async def test_server_dies_with_its_parent() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    assert not is_gone(pid)
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    assert await until(lambda: is_gone(pid))


@pytest.mark.parametrize("key", DYNAMIC_CONFIG)
def test_setting_is_one_the_server_knows(key: str) -> None:
    """It accepts a misspelt key silently."""
    with Path(find_binary()).open("rb") as binary, mmap.mmap(binary.fileno(), 0, access=mmap.ACCESS_READ) as text:
        assert text.find(key.encode()) >= 0


def test_preferred_port_is_taken_when_free() -> None:
    port = free_port()
    assert pick_port(port) == port


def test_next_port_is_taken_when_the_preferred_is_not_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert taken < pick_port(taken) < taken + 50
