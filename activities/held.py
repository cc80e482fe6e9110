"""What a process keeps for a while: bounded in number, and read again after some minutes."""

import time
from collections import OrderedDict
from typing import Generic, TypeVar

Kept = TypeVar("Kept")

SECONDS = 300.0


class Held(Generic[Kept]):
    def __init__(self, size: int, seconds: float = SECONDS) -> None:
        self._size = size
        self._seconds = seconds
        self._held: OrderedDict[str, tuple[float, Kept]] = OrderedDict()

    def get(self, key: str) -> Kept | None:
        since, value = self._held.get(key, (0.0, None))
        if value is None:
            return None
        if time.monotonic() - since >= self._seconds:
            del self._held[key]
            return None
        self._held.move_to_end(key)
        return value

    def put(self, key: str, value: Kept) -> None:
        self._held[key] = (time.monotonic(), value)
        if len(self._held) > self._size:
            self._held.popitem(last=False)
