"""SQLite's one writing connection: one transaction at a time, and one wait for the disk for all who stood in line."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.errors import Unavailable
from store.inline import InlineConnection

PATIENCE = 10.0  # seconds in line


class Turns:
    """While a commit waits for the disk others queue up; they share the next commit, each behind a savepoint."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._line = asyncio.Lock()  # first come, first served
        self._batch: _Batch | None = None  # the one that may be joined
        self._latest: _Batch | None = None

    @asynccontextmanager
    async def take(self) -> AsyncIterator[AsyncConnection]:
        """Ends when what was written is on the disk. An error undoes this turn only."""
        await self._stand_in_line()
        try:
            batch = self._batch or await self._begin()
            with batch.turn():
                yield batch.connection
        finally:
            self._line.release()
        await asyncio.shield(batch.closing)

    async def settle(self) -> None:
        """Waits for the end of a batch that nobody waits for, because every turn of it has failed."""
        if self._latest is not None:
            await asyncio.wait([self._latest.closing])

    async def _stand_in_line(self) -> None:
        try:
            await asyncio.wait_for(self._line.acquire(), PATIENCE)
        except TimeoutError as error:
            raise Unavailable("The database is busy.", retry_after=1) from error

    async def _begin(self) -> "_Batch":
        connection = await self._engine.connect()
        try:
            await connection.begin()
            raw = (await connection.get_raw_connection()).driver_connection
        except BaseException:
            await connection.close()
            raise
        batch = self._batch = self._latest = _Batch(connection, cast(InlineConnection, raw))
        batch.closing = asyncio.create_task(self._close(batch))
        batch.closing.add_done_callback(_look)
        return batch

    async def _close(self, batch: "_Batch") -> None:
        """Stands in line behind all who are there by now."""
        async with self._line:
            self._batch = None
            try:
                batch.ensure_whole()
                await batch.connection.commit()
            finally:
                await batch.connection.close()


class _Batch:
    closing: asyncio.Task[None]

    def __init__(self, connection: AsyncConnection, raw: InlineConnection) -> None:
        self.connection = connection
        self._raw = raw

    @contextmanager
    def turn(self) -> Iterator[None]:
        self.ensure_whole()
        self._raw.run("SAVEPOINT turn")
        try:
            yield
        except BaseException:
            if self._raw.in_transaction:
                self._raw.run("ROLLBACK TO turn")
            raise
        finally:
            if self._raw.in_transaction:
                self._raw.run("RELEASE turn")

    def ensure_whole(self) -> None:
        """A full disk, for one, makes SQLite undo everything: then nobody's turn counts."""
        if not self._raw.in_transaction:
            raise Unavailable("The database gave up a transaction.", retry_after=1)


def _look(closing: asyncio.Task[None]) -> None:
    """Where every turn has failed nobody waits for the commit, and its error is no surprise."""
    if not closing.cancelled():
        closing.exception()
