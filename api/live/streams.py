"""The streams of this process: what they read, how many there may be, and how they all end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from api.live import changes, executions, lines
from api.live.changes import Change, ChangeFilter, ChangeSource
from api.live.executions import ExecutionSource, Sight
from api.live.feed import Feed, Listener
from api.live.lines import LineSource
from api.live.recent import LATE
from domain.errors import Unavailable
from domain.ids import first_id, made_at
from runtime.clock import utcnow
from store.engine import Database
from store.live import Changed, Live
from store.logs import LogFilter, LogLine, Logs, Span
from store.paging import Page

LONGEST = 15 * 60.0  # seconds: whoever listens comes again, and says once more who it is
PAGE = 500
FARTHEST_BACK = timedelta(hours=1)  # of changes; whoever was away for longer reads the lists again

Want = TypeVar("Want")
Item = TypeVar("Item")


class Streams:
    def __init__(self, database: Database, most: int) -> None:
        self.database = database
        self.lines: Feed[LogFilter, LogLine] = Feed(LineSource(database), lines.lets_through)
        self.changes: Feed[ChangeFilter, Change] = Feed(ChangeSource(database), changes.lets_through)
        self.executions: Feed[str, Sight] = Feed(ExecutionSource(database), executions.is_of)
        self.most = most
        self._open = 0
        self._ending = False

    @asynccontextmanager
    async def listening(self, feed: Feed[Want, Item], want: Want) -> AsyncIterator[Listener[Want, Item]]:
        """Raises Unavailable `too_many_streams`."""
        with self._place():
            async with feed.joined(want) as listener:
                timer = asyncio.get_running_loop().call_later(LONGEST, listener.end)
                try:
                    yield listener
                finally:
                    timer.cancel()

    def end(self) -> None:
        """The process ends, and waits for its streams."""
        self._ending = True
        for feed in (self.lines, self.changes, self.executions):
            feed.end()

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._ending or self._open >= self.most:
            raise Unavailable("This process has as many streams as it may.", code="too_many_streams", retry_after=5)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


async def lines_after(database: Database, wanted: LogFilter, log_id: str) -> AsyncIterator[LogLine]:
    """Oldest first, up to now. Those of the last seconds before that line come too: it may have overtaken them."""
    above = first_id("log", made_at(log_id) - LATE)
    while True:
        async with database.snapshot() as session:
            found = await Logs(session).list(wanted, Page(PAGE), Span(above=above), ascending=True)
        for line in found:
            if line.id != log_id:
                yield line
        if len(found) <= PAGE:
            return
        above = found[-1].id


async def changes_since(database: Database, wanted: ChangeFilter, at: datetime) -> AsyncIterator[Change]:
    """In order, up to now; those of the last seconds before that time too. Raises TooLongAgo."""
    if at < utcnow() - FARTHEST_BACK:
        raise TooLongAgo
    owners = changes.owners_of([wanted])
    async with database.snapshot() as session:
        live = Live(session)
        rows = await live.events(await live.event_ids(at - LATE), owners)
    for change in map(changes.of_event, rows):
        if changes.lets_through(wanted, change):
            yield change
    after = Changed("", at - LATE)
    while True:
        async with database.snapshot() as session:
            states = await Live(session).executions_after(after, PAGE, owners)
        for change in map(changes.of_execution, states):
            if changes.lets_through(wanted, change):
                yield change
        if len(states) < PAGE:
            return
        after = Changed(states[-1].id, states[-1].updated_at)


class TooLongAgo(Exception):
    """More may have happened since than it makes sense to tell one by one."""
