"""The Temporal server of `flowgraft dev` and of the tests: the `temporal` binary as a child process."""

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import GrpcCompression, RPCError

from runtime.temporal import SEARCH_ATTRIBUTES

HOST = "127.0.0.1"
NAMESPACE = "default"
STOP_GRACE = 5.0  # seconds between SIGTERM and SIGKILL
LAST_WORDS = 2_000  # bytes of the server's log in an error
PR_SET_PDEATHSIG = 1

# A misspelt key is accepted silently: `tests/runtime/test_devserver.py` asserts effects.
DYNAMIC_CONFIG = {
    # By default each hop waits up to 50 ms for the next poll.
    "history.transferProcessorMaxPollRPS": "1000",
    "history.timerProcessorMaxPollRPS": "1000",
    # By default a short timer fires up to a second late, in case the clocks of several hosts differ.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    # One box gains nothing from four partitions.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "matching.enableFairness": "true",
    "system.forceSearchAttributesCacheRefreshOnRead": "false",
    "system.enableActivityEagerExecution": "true",
    # The SQL columns hold no more.
    "limit.maxIDLength": "255",
    # Room for a burst of some thousands; the default is 2,400 a second for everything together.
    "frontend.rps": "10000",
    "frontend.namespaceRPS": "10000",
    "frontend.namespaceRPS.visibility": "1000",
}


class DevServer:
    """Starts and stops one server. It dies with this process, even when that is killed.

    `ui_port=None` means no Web UI; `db_file=None` means in memory. The same object may be started again after `stop`
    or `kill`. Start it from a thread that lives as long as the server should: the kernel ties the child to it.
    """

    def __init__(
        self,
        port: int | None = None,
        *,
        ui_port: int | None = None,
        db_file: Path | None = None,
        log_file: Path | None = None,
        log_level: str = "error",
        codec_endpoint: str | None = None,
    ) -> None:
        self.port = port or free_port()
        self.ui_port = ui_port
        self._db_file = db_file
        self._log_file = log_file
        self._log_level = log_level
        self._codec_endpoint = codec_endpoint
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        return None if self.ui_port is None else f"http://{HOST}:{self.ui_port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self, timeout: float = 30.0) -> None:
        """Returns when the server answers; raises RuntimeError with its last words when it does not."""
        if self._process is not None:
            raise RuntimeError("this server is running already")
        if not _is_free(self.port):  # else another server's answer would pass for ours
            raise RuntimeError(f"port {self.port} is taken: another Temporal server may be running")
        self._launch()
        try:
            await asyncio.wait_for(self._until_healthy(), timeout)
        except TimeoutError:
            message = f"the Temporal server did not answer within {timeout:g} s{self._last_words()}"
            self.kill()
            raise RuntimeError(message) from None
        except BaseException:
            self.kill()
            raise

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL. Harmless when it is not running."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, STOP_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as a power cut would. Waits until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._log.close()

    def _launch(self) -> None:
        self._log = self._open_log()
        self._process = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # the terminal's Ctrl-C is for us, we stop the server
            preexec_fn=die_with_parent(),
        )

    def _open_log(self) -> IO[bytes]:
        if self._log_file is None:
            return tempfile.TemporaryFile()
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        return self._log_file.open("ab+")

    def _command(self) -> list[str]:
        command = [find_binary(), "server", "start-dev", "--ip", HOST, "--port", str(self.port)]
        command += ["--namespace", NAMESPACE, "--log-level", self._log_level]
        if self.ui_port is None:
            command += ["--headless"]
        else:
            command += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"]
        if self._codec_endpoint:
            command += ["--ui-codec-endpoint", self._codec_endpoint]
        if self._db_file:
            self._db_file.parent.mkdir(parents=True, exist_ok=True)
            command += ["--db-filename", str(self._db_file)]
            command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
        for attribute in SEARCH_ATTRIBUTES:  # known at once in a new database, else it takes seconds
            command += ["--search-attribute", f"{attribute.name}=Keyword"]
        for key, value in DYNAMIC_CONFIG.items():
            command += ["--dynamic-config-value", f"{key}={value}"]
        return command

    async def _until_healthy(self) -> None:
        while True:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the Temporal server ended{self._last_words()}")
            if await _accepts(self.port) and await self._answers():
                return
            await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
        try:
            client = await Client.connect(self.address, grpc_compression=GrpcCompression.NONE)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
        except (RPCError, RuntimeError):
            return False
        return True

    def _last_words(self) -> str:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - LAST_WORDS))
        text = self._log.read().decode(errors="replace").strip()
        return f": {text}" if text else ""


def find_binary() -> str:
    """Beside our interpreter (a development dependency puts it there), else on PATH."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.is_file() else shutil.which("temporal")
    if found is None:
        raise RuntimeError(
            "no `temporal` binary beside the interpreter or on PATH: install requirements/dev.txt, "
            "or point TEMPORAL_ADDRESS at a server"
        )
    return found


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def pick_port(preferred: int) -> int:
    """`preferred` when it is free, else the next free one."""
    for port in range(preferred, 65_536):
        if _is_free(port):
            return port
    raise RuntimeError(f"no free port from {preferred} on")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """For Linux: a function for the child, between fork and exec, that only calls what is loaded already."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, how)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask_kernel
