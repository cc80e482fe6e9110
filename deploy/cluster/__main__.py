"""`python -m deploy.cluster`: starts the cluster, starts again what dies, ends everything on one Ctrl-C."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer

from deploy.cluster.cluster import Cluster, Ports, thrown_away
from runtime.devserver import HOST

PAUSE = 2.0  # seconds before something dead is started again


def main() -> int:
    given = _arguments()
    ports = Ports(given.port, given.temporal_port, given.postgres_port)
    try:
        with thrown_away() if given.data_dir is None else nullcontext(given.data_dir.absolute()) as directory:
            return asyncio.run(
                _run(Cluster(directory, given.temporal_bin.absolute(), ports), given.data_dir is not None)
            )
    except RuntimeError as error:
        typer.echo(str(error), err=True)
        return 1


async def _run(cluster: Cluster, kept: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        if await _finished(cluster.start(), stop):
            typer.echo(_announcement(cluster, kept))
            await _watch(cluster, stop)
        typer.echo("\nStopping …")
    finally:
        await cluster.stop()
    return 0


async def _watch(cluster: Cluster, stop: asyncio.Event) -> None:
    """Like `restart: unless-stopped`."""
    while not stop.is_set():
        dead = cluster.dead
        if await _finished(asyncio.sleep(PAUSE), stop) and dead:
            typer.echo(f"Ended: {', '.join(dead)}. Starting again …")
            if await _finished(cluster.heal(), stop):
                typer.echo(_processes(cluster))


async def _finished(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether it has come to its end before we were told to stop."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        await working
        return True
    working.cancel()
    return False


def _announcement(cluster: Cluster, kept: bool) -> str:
    lines = [
        "",
        "The cluster is up. Ctrl-C ends everything.",
        "",
        *(f"  API               {url}/v1" for url in cluster.urls),
        f"  API key           {cluster.api_key}",
        f"  Temporal          {cluster.temporal.address} (temporal workflow list --address {cluster.temporal.address})",
        f"  PostgreSQL        psql -h {HOST} -p {cluster.postgres.port} -U flowgraft flowgraft",
        f"  Data and logs     {cluster.directory} ({'kept' if kept else 'removed at the end'})",
        "",
        "Kill any of them (kill -9): within a few seconds it is started again.",
        _processes(cluster),
    ]
    return "\n".join(lines)


def _processes(cluster: Cluster) -> str:
    return "  " + " · ".join(f"{name} {pids[0]}" for name, pids in cluster.pids.items())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.cluster", description=__doc__)
    parser.add_argument("--temporal-bin", type=Path, required=True, help="directory of Temporal's `server` and `sql`")
    parser.add_argument("--data-dir", type=Path, help="where everything is kept; without it, it is thrown away")
    for name, default in (("port", Ports.api), ("temporal-port", Ports.temporal), ("postgres-port", Ports.postgres)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{default}, or the next free ones")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
