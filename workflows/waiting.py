"""Waiting for a connection that fails: no try is spent and no time of the flow, until it works again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.waiting import WaitActivities
    from domain.messages import WaitInput
    from workflows import policies


@dataclass
class Waiting:
    """Of one attempt. `timeout` is the flow's, which stands still meanwhile."""

    timeout: asyncio.Timeout | None = None
    told: bool = False

    def tell(self) -> None:
        self.told = True

    async def for_connection(self, message: WaitInput) -> bool:
        """True once the connection works or is worth a try; False after the longest wait."""
        until = workflow.now() + policies.LONGEST_WAIT
        with self._clock_stopped():
            while await self._waits(message):
                left = until - workflow.now()
                if left <= policies.NO_TIME:
                    message.over = True
                    continue
                with suppress(TimeoutError):
                    await workflow.wait_condition(lambda: self.told, timeout=min(left, policies.BETWEEN_PROBES))
                message.probe = not self.told
        return not message.over

    async def _waits(self, message: WaitInput) -> bool:
        self.told = False
        waits: bool = await workflow.execute_local_activity_method(
            WaitActivities.wait_for_connection, message, **policies.LEDGER
        )
        return waits

    @contextmanager
    def _clock_stopped(self) -> Iterator[None]:
        due = self.timeout.when() if self.timeout else None
        if self.timeout is None or due is None or self.timeout.expired():
            yield
            return
        loop = asyncio.get_running_loop()
        left = due - loop.time()
        self.timeout.reschedule(None)
        try:
            yield
        finally:
            self.timeout.reschedule(loop.time() + left)
