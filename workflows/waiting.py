"""Waiting for a person to mend a connection, or for somebody to call back: no time of the flow is spent."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.callbacks import CallbackActivities
    from activities.waiting import WaitActivities
    from domain.messages import CallbackInput, CallbackSight, WaitInput
    from workflows import failures, policies


@dataclass
class Waiting:
    """Of one attempt. `timeout` is the flow's, which stands still meanwhile."""

    timeout: asyncio.Timeout | None = None
    told: bool = False
    called_back: set[str] = field(default_factory=set)  # the paths of steps

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

    async def for_callback(self, message: CallbackInput, timeout: timedelta) -> dict[str, Any] | None:
        """What came in; None when nothing has in time."""
        until = workflow.now() + timeout
        with self._clock_stopped():
            while True:
                self.called_back.discard(message.path)
                message.over = until - workflow.now() <= policies.NO_TIME
                sight: CallbackSight = await workflow.execute_local_activity_method(
                    CallbackActivities.look_for_callback, message, **policies.LEDGER
                )
                if sight.arrived or message.over:
                    return sight.value if sight.arrived else None
                left = min(until - workflow.now(), policies.BETWEEN_LOOKS_FOR_CALLBACKS)
                with suppress(TimeoutError):
                    await workflow.wait_condition(
                        lambda: message.path in self.called_back, timeout=max(left, policies.NO_TIME)
                    )

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
            if not failures.is_forgotten():
                self.timeout.reschedule(loop.time() + left)
