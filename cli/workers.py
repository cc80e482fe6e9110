"""`flowgraft worker --processes N`: some workers side by side, that live and end together."""

import asyncio
import signal
import sys

import structlog

from runtime.devserver import die_with_parent

STOP_GRACE = 40.0  # seconds; a worker finishes what runs within 30
PORTS_EACH = 2  # its own metrics and Temporal's

log = structlog.get_logger(__name__)


async def run_workers(count: int, metrics_port: int | None) -> int:
    """Until SIGTERM or SIGINT, which all of them get. When one ends by itself, so do the others. The exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    workers = [await _start(number, metrics_port) for number in range(count)]
    ends = [asyncio.create_task(worker.wait()) for worker in workers]
    asked = asyncio.create_task(stop.wait())
    await asyncio.wait([asked, *ends], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not stop.is_set():
        log.error("worker_ended", pids=[worker.pid for worker in workers if worker.returncode is not None])
    await _end(workers, ends)
    codes = [worker.returncode for worker in workers]
    return 0 if stop.is_set() and not any(codes) else 1


async def _start(number: int, metrics_port: int | None) -> asyncio.subprocess.Process:
    ports = [] if metrics_port is None else ["--metrics-port", str(metrics_port + PORTS_EACH * number)]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "worker",
        *ports,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # the terminal's Ctrl-C is for the supervisor
        preexec_fn=die_with_parent(),
    )


async def _end(workers: list[asyncio.subprocess.Process], ends: list["asyncio.Task[int]"]) -> None:
    for worker in workers:
        if worker.returncode is None:
            worker.terminate()
    _, late = await asyncio.wait(ends, timeout=STOP_GRACE)
    for worker in workers:
        if worker.returncode is None:
            worker.kill()
    if late:
        await asyncio.wait(late)
