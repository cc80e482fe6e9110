"""The database: its engine and the two ways in, `transaction()` to write and `snapshot()` to read."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from sqlite3 import Error as SqliteError
from typing import Any, NamedTuple

from sqlalchemy import URL, Connection, PrimaryKeyConstraint, UniqueConstraint, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm.session import JoinTransactionMode

from domain.errors import Unavailable
from store import inline
from store.tables import Base
from store.turns import Turns

# Primary result codes of SQLite that pass by themselves or by an operator's hand: BUSY, LOCKED, IOERR, FULL, CANTOPEN,
# PROTOCOL. Its OperationalError also covers wrong SQL, which is a bug and stays loud.
SQLITE_UNAVAILABLE = frozenset({5, 6, 10, 13, 14, 15})


class Engines(NamedTuple):
    writer: AsyncEngine
    reader: AsyncEngine
    glancer: AsyncEngine


class Database:
    """One database, SQLite or PostgreSQL. Bound to the event loop that uses it first; `dispose()` ends it."""

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        self.url = url
        self.dialect = parsed.get_backend_name()
        engines = _sqlite_engines if self.dialect == "sqlite" else _postgres_engines
        self.engines = engines(parsed)
        writer = self.engines.writer
        self._turns = Turns(writer) if self.dialect == "sqlite" else None
        self._write = self._turns.take if self._turns else writer.begin
        self._join: JoinTransactionMode = "create_savepoint" if self._turns else "rollback_only"
        self.info: dict[str, Any] = {}  # what this process has put beside it, found as `session.info`

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Commits on a clean exit, rolls back on an error. On SQLite one writer at a time: never nest two."""
        with _unavailable():
            async with (
                self._write() as connection,
                _session(connection, self.info, autoflush=True, join_transaction_mode=self._join) as session,
            ):
                yield session
                if session.in_transaction():
                    await session.commit()  # flushes; the connection's transaction is not the session's to end

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """Reads one state of the database, that of the first query. The database refuses writes."""
        with _unavailable():
            async with self.engines.reader.connect() as connection, _session(connection) as session:
                yield session

    @asynccontextmanager
    async def glance(self) -> AsyncIterator[AsyncSession]:
        """For a few rows by key, outside any transaction: each query sees what is committed by then."""
        with _unavailable():
            async with self.engines.glancer.connect() as connection, _session(connection) as session:
                yield session

    async def ping(self) -> None:
        """Raises Unavailable when the database does not answer."""
        async with self.glance() as session:
            await session.execute(text("SELECT 1"))

    async def dispose(self) -> None:
        if self._turns:
            await self._turns.settle()
        for engine in self.engines:
            await engine.dispose()


def parse_url(url: str) -> URL:
    parsed = make_url(url)
    if parsed.drivername == "sqlite+aiosqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ValueError("An SQLite database needs a file: sqlite+aiosqlite:///path/to/file.db")
    elif parsed.drivername != "postgresql+psycopg":
        raise ValueError(
            f"The database URL begins with {parsed.drivername}://; "
            "Flowgraft speaks sqlite+aiosqlite:///… and postgresql+psycopg://…"
        )
    return parsed


def violated(error: IntegrityError) -> str:
    """Which rule broke, as `table.column[,column]`; empty for a foreign key, which SQLite does not name."""
    if isinstance(error.orig, SqliteError):
        return _violated_in_sqlite(str(error.orig))
    diagnostics = getattr(error.orig, "diag", None)
    table, column = getattr(diagnostics, "table_name", None), getattr(diagnostics, "column_name", None)
    columns = [column] if column else _unique_columns(table, getattr(diagnostics, "constraint_name", None))
    return f"{table}.{','.join(columns)}" if columns else ""


def _violated_in_sqlite(message: str) -> str:
    """From `UNIQUE constraint failed: versions.integration_id, versions.number`."""
    _, colon, names = message.partition(" constraint failed: ")
    if not colon:
        return ""
    parts = [name.split(".", 1) for name in names.split(", ")]
    return f"{parts[0][0]}.{','.join(column for _, column in parts)}"


def _unique_columns(table: str | None, constraint: str | None) -> list[str]:
    known = Base.metadata.tables.get(table or "")
    for candidate in known.constraints if known is not None else ():
        if candidate.name == constraint and isinstance(candidate, UniqueConstraint | PrimaryKeyConstraint):
            return [column.name for column in candidate.columns]
    return []


def _sqlite_engines(url: URL) -> Engines:
    """One connection writes: whoever waits for it stands in an orderly queue instead of polling SQLite's lock."""
    path = str(url.database)
    arguments = {"isolation_level": None}  # The driver begins nothing by itself; `begin` below does.
    writer = create_async_engine(
        url, async_creator=partial(inline.connect, path), pool_size=1, max_overflow=0, pool_timeout=10
    )
    reader = create_async_engine(url, connect_args=arguments, pool_size=10, max_overflow=0, pool_timeout=10)
    glancer = create_async_engine(
        url, async_creator=partial(inline.connect, path), pool_size=1, max_overflow=0, pool_timeout=10
    )
    _prepare_sqlite(writer, begin=inline.BEGIN, last="query_only = OFF")
    _prepare_sqlite(reader, begin="BEGIN", last="query_only = ON")
    _prepare_sqlite(glancer, begin=None, last="query_only = ON")
    return Engines(writer, reader, glancer)


def _prepare_sqlite(engine: AsyncEngine, *, begin: str | None, last: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: DBAPIConnection, record: object) -> None:
        # SQLite's own lower() knows ASCII only; searches must find Ä by ä as they do on PostgreSQL.
        connection.create_function("lower", 1, _lower, deterministic=True)
        cursor = connection.cursor()
        for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", last):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    if begin is None:
        return

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _postgres_engines(url: URL) -> Engines:
    arguments = {} if "connect_timeout" in url.query else {"connect_timeout": 5}
    writer = create_async_engine(
        url, connect_args=arguments, pool_size=10, max_overflow=10, pool_timeout=10, pool_recycle=1800
    )
    reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return Engines(writer, reader, writer.execution_options(isolation_level="AUTOCOMMIT"))


@asynccontextmanager
async def _session(
    connection: AsyncConnection,
    info: dict[str, Any] | None = None,
    *,
    autoflush: bool = False,
    join_transaction_mode: JoinTransactionMode = "conditional_savepoint",
) -> AsyncIterator[AsyncSession]:
    """One that nobody asks anything costs next to nothing: see `dialect.connection_of`."""
    session = AsyncSession(
        connection, expire_on_commit=False, autoflush=autoflush, join_transaction_mode=join_transaction_mode, info=info
    )
    try:
        yield session
    finally:
        if session.in_transaction():
            await session.close()


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("The database is busy.", retry_after=1) from error
    except DBAPIError as error:
        if not _passes(error):
            raise
        raise Unavailable("The database is away or busy.", retry_after=1) from error


def _passes(error: DBAPIError) -> bool:
    """True of what time mends: a lost or refused connection, a lock, a deadlock, a full disk."""
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, SqliteError):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in SQLITE_UNAVAILABLE
    return isinstance(error, OperationalError | InterfaceError)
