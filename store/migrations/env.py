"""Alembic's entry: runs on the connection that store/migrate.py hands over, or on the one that `-x url=…` names."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, text

from store.migrate import connect
from store.tables import Base
from store.types import Json, UtcDateTime

# Any number; PostgreSQL lets one session at a time hold it. SQLite's BEGIN IMMEDIATE does the same by itself.
LOCK = 7_043_219_001


def render_item(kind: str, item: object, _: AutogenContext) -> str | Literal[False]:
    """Plain types in migrations, whatever becomes of ours."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and item is Json:
        return "JSON"
    return False


def include_name(name: str | None, kind: str, _: object) -> bool:
    """What migration 0004 says about one of the databases is none of the tables' business."""
    return not (name or "").endswith("_gin") and not (kind == "table" and (name or "").startswith("logs_fts"))


@contextmanager
def connection() -> Iterator[Connection]:
    given = context.config.attributes.get("connection")
    if given is not None:
        yield given
        return
    with connect(context.get_x_argument(as_dictionary=True)["url"]) as opened:
        yield opened


with connection() as connected:
    context.configure(
        connection=connected,
        target_metadata=Base.metadata,
        transactional_ddl=True,
        render_item=render_item,
        include_name=include_name,
        render_as_batch=True,  # SQLite cannot alter a column
    )
    with context.begin_transaction():
        if connected.dialect.name == "postgresql":
            connected.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()
