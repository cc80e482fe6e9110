"""What has been told already, while it may be seen again: whoever writes commits a little after the time it notes."""

from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from runtime.clock import utcnow

LATE = timedelta(seconds=5)  # how much later than its time something may still come into sight
CLOCKS_DIFFER = timedelta(seconds=10)

Key = TypeVar("Key", bound=Hashable)


class Recent:
    def __init__(self) -> None:
        self.since = utcnow() - LATE  # from where on to look: what is older has been in sight, or comes too late
        self._told: dict[Hashable, datetime] = {}

    def new(self, keys: Iterable[Key]) -> list[Key]:
        return [key for key in keys if key not in self._told]

    def looked(self, at: datetime, keys: Iterable[Hashable]) -> None:
        """What was committed by then has been in sight; of that, these were new."""
        self.since = at - LATE
        kept = {key: told for key, told in self._told.items() if told >= self.since - CLOCKS_DIFFER}
        self._told = kept | dict.fromkeys(keys, at)
