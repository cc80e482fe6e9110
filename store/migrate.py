"""The schema's way to the newest revision, forward only, and the check that it is there.

A change of store/tables/ needs a revision, made against a database that is at the newest one:
    PYTHONPATH=. alembic -x url=sqlite+aiosqlite:////tmp/head.db revision --autogenerate --rev-id 0002 -m "what it does"
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from domain.errors import Unavailable
from store.engine import Database, parse_url


def upgrade(url: str) -> None:
    """Bring the database to the newest revision; harmless when it is there, and beside another who does the same."""
    with connect(url) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current(url: str) -> str | None:
    """The database's revision; None where there is no schema yet."""
    with connect(url) as connection:
        return _revision(connection)


def head() -> str:
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise LookupError("There are no migrations.")
    return revision


async def ensure_current(database: Database) -> None:
    """Raises Unavailable, with the remedy, unless the schema is at the newest revision."""
    async with database.snapshot() as session:
        connection = await session.connection()
        found = await connection.run_sync(_revision)
    if found != (wanted := head()):
        raise Unavailable(
            f"The database's schema is at revision {found or 'none'}; this version of Flowgraft needs {wanted}. "
            "Run `flowgraft db upgrade`.",
            code="schema_outdated",
        )


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """A connection without asyncio, whose SQLite transactions cover DDL and exclude other writers."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "postgresql":
        engine = create_engine(parsed, poolclass=NullPool)
    else:
        engine = create_engine(
            parsed.set(drivername="sqlite"), poolclass=NullPool, connect_args={"isolation_level": None, "timeout": 30}
        )
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.connect() as connection:
        yield connection


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
