"""SQLite without a thread hop per call: what `aiosqlite` is to SQLAlchemy, for short statements.

A statement by primary key takes microseconds, its way to aiosqlite's thread and back a tenth of a millisecond, and
SQLAlchemy makes four of them per statement. Here statements run where they are asked for. Only the commit,
which waits for the disk, goes to a thread.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

BEGIN = "BEGIN IMMEDIATE"
LOCK_SECONDS = 5.0  # how long another process may hold the write lock
LOCK_POLL_SECONDS = 0.002


class InlineCursor:
    """One statement at a time, as `AsyncAdapt_dbapi_cursor` uses it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()

    async def __aenter__(self) -> "InlineCursor":
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> "InlineCursor":
        if statement == BEGIN:
            await self._begin()
        else:
            self._cursor.execute(statement, parameters)
        return self

    async def _begin(self) -> None:
        """Asks often: SQLite's own busy handler sleeps up to 100 ms between two looks, and in this thread."""
        deadline = time.monotonic() + LOCK_SECONDS
        self._cursor.execute("PRAGMA busy_timeout = 0")
        try:
            while not self._has_begun(final=time.monotonic() > deadline):  # noqa: ASYNC110 — another process has it
                await asyncio.sleep(LOCK_POLL_SECONDS)
        finally:
            self._cursor.execute("PRAGMA busy_timeout = 5000")

    def _has_begun(self, *, final: bool) -> bool:
        try:
            self._cursor.execute(BEGIN)
        except sqlite3.OperationalError as error:
            if final or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True

    async def executemany(self, statement: str, parameters: Iterable[Sequence[Any]]) -> "InlineCursor":
        self._cursor.executemany(statement, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    async def close(self) -> None:
        self._cursor.close()

    @property
    def description(self) -> Any:
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid


class InlineConnection:
    """As `AsyncAdapt_aiosqlite_connection` uses it: its owner awaits one call before it makes the next."""

    def __init__(self, path: str) -> None:
        self._conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection: sqlite3.Connection | None = self._conn  # None once closed

    def cursor(self) -> InlineCursor:
        return InlineCursor(self._conn)

    async def create_function(self, name: str, arguments: int, function: Callable[..., Any], **options: Any) -> None:
        self._conn.create_function(name, arguments, function, **options)

    @property
    def in_transaction(self) -> bool:
        return self._conn.in_transaction

    def run(self, statement: str) -> None:
        self._conn.execute(statement)

    async def commit(self) -> None:
        """In a thread, because it waits for the disk; whoever is cancelled meanwhile still waits for its end."""
        if not self._conn.in_transaction:
            return
        committing = asyncio.ensure_future(asyncio.to_thread(self._conn.commit))
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            await asyncio.wait([committing])
            raise

    async def rollback(self) -> None:
        self._conn.rollback()

    async def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        self._connection = None
        self._conn.close()


async def connect(path: str) -> InlineConnection:
    return InlineConnection(path)
