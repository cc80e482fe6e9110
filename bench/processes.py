"""CPU time of processes, and waiting for one to answer."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import httpx2

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_ms(processes: Mapping[str, int]) -> dict[str, float]:
    """User and system time so far, by name."""
    return {name: _ticks(pid) * 1000 / TICKS for name, pid in processes.items()}


async def until_answering(url: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
        while True:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.1)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
