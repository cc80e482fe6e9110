"""Ending streams when the process is told to end: the server would wait for them, for as long as it waits at all."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def when_told_to_stop(act: Callable[[], None]) -> Iterator[None]:
    """Calls it at a signal, before whatever handles that signal already. Only a main thread hears of them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        before[signal.Signals(number)](number, frame)

    for number in before:
        signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
