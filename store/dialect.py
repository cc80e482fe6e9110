"""Where SQLite and PostgreSQL differ, for all queries: conflict clauses and lists in JSON columns."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Float,
    Result,
    Table,
    and_,
    exists,
    extract,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from store.tables import Base
from store.types import UtcDateTime

Values = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def connection_of(session: AsyncSession) -> AsyncConnection:
    """What a session stands on, for the few statements that every execution makes: they skip the session, which costs
    several times what they do. What it holds unflushed they do not see."""
    return cast(AsyncConnection, session.bind)


def dialect_of(session: AsyncSession) -> str:
    return connection_of(session).dialect.name


def table_of(row: type[Base]) -> Table:
    return cast(Table, row.__table__)


def values_of(row: Base) -> dict[str, Any]:
    """The columns that a new row has been given."""
    columns = row.__table__.columns
    return {name: value for name, value in vars(row).items() if name in columns}


def affected(result: Result[Any]) -> int:
    """The number of rows an INSERT, UPDATE or DELETE touched."""
    return cast(CursorResult[Any], result).rowcount


async def insert_ignore(session: AsyncSession, row: type[Base], values: Values, index_elements: Sequence[str]) -> int:
    """Insert what is not there yet, told by the unique columns `index_elements`; says how many rows are new."""
    if not values:
        return 0
    statement = _insert(session, row).on_conflict_do_nothing(index_elements=index_elements)
    return affected(await session.execute(statement, values))


async def upsert(
    session: AsyncSession | AsyncConnection,
    row: type[Base],
    values: Values,
    index_elements: Sequence[str],
    *,
    where: ColumnElement[bool] | None = None,
) -> int:
    """Insert, or set all other columns that `values` names of the row in the way.

    `where` is about the existing row: where it does not hold, nothing changes and the row is not counted. Statements
    are kept, so give the same object each time.
    """
    if not values:
        return 0
    given = values if isinstance(values, Mapping) else values[0]
    dialect = dialect_of(session) if isinstance(session, AsyncSession) else session.dialect.name
    statement = _upsert(dialect, row, tuple(given), tuple(index_elements), where)
    return affected(await session.execute(statement, values))


async def increase(
    session: AsyncSession,
    row: type[Base],
    values: Sequence[Mapping[str, Any]],
    index_elements: Sequence[str],
    name: str,
) -> None:
    """Insert, or add what `values` say of the column `name` to what is there."""
    if not values:
        return
    statement = _insert(session, row)
    added = {name: table_of(row).c[name] + statement.excluded[name]}
    await session.execute(statement.on_conflict_do_update(index_elements=list(index_elements), set_=added), values)


def contains_text(column: ColumnElement[Any] | InstrumentedAttribute[Any], text: str) -> ColumnElement[bool]:
    """A search for literal text in any case: `%` and `_` mean themselves."""
    return column.icontains(text, autoescape=True)


def has_labels(
    session: AsyncSession, column: InstrumentedAttribute[list[str]], labels: Sequence[str]
) -> ColumnElement[bool]:
    """True of rows whose JSON list holds every one of `labels`."""
    if dialect_of(session) == "postgresql":
        return type_coerce(column, postgresql.JSONB).contains(list(labels))
    return and_(*(_sqlite_has(column, label) for label in labels))


def seconds_between(
    session: AsyncSession, start: InstrumentedAttribute[Any], end: InstrumentedAttribute[Any]
) -> ColumnElement[float]:
    """To the millisecond; null when either is."""
    if dialect_of(session) == "postgresql":
        return type_coerce(extract("epoch", end - start), Float)
    # A day count is exact to some 50 microseconds only: unrounded, 90 seconds would fall short of 90.
    return func.round((func.julianday(end) - func.julianday(start)) * 86400.0, 3, type_=Float)


def truncated_to_hour(session: AsyncSession, column: InstrumentedAttribute[Any]) -> ColumnElement[datetime]:
    """In UTC. Without parameters, so that it may be grouped by."""
    if dialect_of(session) == "postgresql":
        return func.date_trunc(literal_column("'hour'"), column, literal_column("'UTC'"), type_=UtcDateTime())
    return func.strftime(literal_column("'%Y-%m-%d %H:00:00'"), column, type_=UtcDateTime())


def _sqlite_has(column: InstrumentedAttribute[list[str]], label: str) -> ColumnElement[bool]:
    each = func.json_each(column).table_valued("value")
    return exists(select(literal(1)).select_from(each).where(each.c.value == label))


def _insert(session: AsyncSession, row: type[Base]) -> postgresql.Insert | sqlite.Insert:
    return _insert_into(dialect_of(session), row)


def _insert_into(dialect: str, row: type[Base]) -> postgresql.Insert | sqlite.Insert:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table_of(row)).execution_options(preserve_rowcount=True)


@lru_cache(maxsize=64)
def _upsert(
    dialect: str,
    row: type[Base],
    columns: tuple[str, ...],
    index_elements: tuple[str, ...],
    where: ColumnElement[bool] | None,
) -> postgresql.Insert | sqlite.Insert:
    """Built once: the proxies of `excluded` cost more than running the statement."""
    statement = _insert_into(dialect, row)
    changes = {name: statement.excluded[name] for name in columns if name not in index_elements}
    return statement.on_conflict_do_update(index_elements=index_elements, set_=changes, where=where)
