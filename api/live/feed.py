"""One poller in this process for everybody who listens to the same thing; it rests while nobody does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Generic, Protocol, TypeVar

import structlog

from domain.errors import Unavailable

EVERY = 0.5  # seconds between two looks
MOST_UNREAD = 5_000  # items; whoever is slower than that is let go, and comes again where it was

Want = TypeVar("Want", contravariant=True)
Wanted = TypeVar("Wanted")
Item = TypeVar("Item")
Seen = TypeVar("Seen", covariant=True)

log = structlog.get_logger()


class Source(Protocol[Want, Seen]):
    async def begin(self) -> None:
        """From now on; what was before is not news."""
        ...

    async def look(self, wants: Collection[Want]) -> Sequence[Seen]:
        """What is new since the last look, as far as any of these want it."""
        ...


class Listener(Generic[Wanted, Item]):
    """What one of those who listen has not read yet."""

    def __init__(self, want: Wanted) -> None:
        self.want = want
        self.over = False
        self._unread: list[Item] = []
        self._news = asyncio.Event()

    def tell(self, items: Sequence[Item]) -> None:
        self._unread += items
        if len(self._unread) > MOST_UNREAD:
            self._unread.clear()
            self.over = True
        if self._unread or self.over:
            self._news.set()

    def end(self) -> None:
        self.over = True
        self._news.set()

    async def news(self) -> AsyncIterator[Sequence[Item]]:
        """Until it is over."""
        while True:
            await self._news.wait()
            self._news.clear()
            items, self._unread = self._unread, []
            if items:
                yield items
            if self.over:
                return


class Feed(Generic[Wanted, Item]):
    def __init__(self, source: Source[Wanted, Item], matches: Callable[[Wanted, Item], bool]) -> None:
        self._source = source
        self._matches = matches
        self._listeners: set[Listener[Wanted, Item]] = set()
        self._polling: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()

    @asynccontextmanager
    async def joined(self, want: Wanted) -> AsyncIterator[Listener[Wanted, Item]]:
        """Nothing that happens from now on is missed."""
        listener: Listener[Wanted, Item] = Listener(want)
        async with self._beginning:
            if self._polling is None:
                await self._source.begin()
                self._polling = asyncio.create_task(self._poll())
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self._rest()

    @property
    def polls(self) -> bool:
        return self._polling is not None

    def end(self) -> None:
        for listener in self._listeners:
            listener.end()

    async def _rest(self) -> None:
        """Without a look under way: the database may be closed next."""
        polling, self._polling = self._polling, None
        if polling is not None:
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                items = await self._source.look([listener.want for listener in self._listeners])
            except Unavailable:
                continue  # the next look sees it all
            except Exception:
                log.exception("live_look_failed")
                continue
            for listener in self._listeners:
                listener.tell([item for item in items if self._matches(listener.want, item)])
