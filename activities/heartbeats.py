"""Heartbeats of an activity: a lost worker is known by its silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from temporalio import activity

HEARTBEAT_SECONDS = 2.0


@asynccontextmanager
async def heartbeats() -> AsyncIterator[None]:
    """While the block runs."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            activity.heartbeat()

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
