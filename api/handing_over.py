"""Handing over once more what Temporal did not take in time: soon, from this process, long before upkeep would."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from activities.handover import Handover

PAUSE = 0.5  # seconds, after Temporal was away
AT_ONCE = 8
MOST = 1000
UPKEEPS_TURN = 10.0  # seconds after which upkeep starts it

Start = Callable[[Handover], Awaitable[bool]]


class HandingOver:
    """What is lost with the process is upkeep's, too: nothing here has to be kept."""

    def __init__(self, start: Start, patience: float = UPKEEPS_TURN) -> None:
        self._start = start
        self._patience = patience
        self._waiting: deque[tuple[float, Handover]] = deque(maxlen=MOST)
        self._working: asyncio.Task[None] | None = None

    def later(self, handover: Handover) -> None:
        """It may have been started all the same: `start` must be harmless when repeated."""
        self._waiting.append((time.monotonic(), handover))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())

    async def close(self) -> None:
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])

    async def _work(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            due = [each for each in some if time.monotonic() - each[0] < self._patience]
            starts = (self._start(handover) for _, handover in due)
            started = await asyncio.gather(*starts, return_exceptions=True)
            left = [each for each, done in zip(due, started, strict=True) if done is False]
            self._waiting.extendleft(reversed(left))
            if left:
                await asyncio.sleep(PAUSE)
