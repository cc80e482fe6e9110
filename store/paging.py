"""How lists are cut: by a key that is unique and stays, with one row more than asked to tell that more follow.

By default newest first, by id, which sorts by time. Rows that are added meanwhile never shift a later page.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from domain.errors import MalformedBody
from store.types import UtcDateTime

Query = TypeVar("Query", bound=Select[*tuple[object, ...]])


@dataclass(frozen=True)
class Page:
    """`after` is the key of the last row of the page before; whoever asks cuts the row past `limit`."""

    limit: int
    after: str | None = None


@dataclass(frozen=True)
class Sort:
    """By a column that is never null, and by id where it is equal."""

    column: InstrumentedAttribute[Any]
    descending: bool = False

    def key(self, value: Any, row_id: str) -> str:
        """What `Page.after` is for the page behind this row."""
        text = value.isoformat() if isinstance(value, datetime) else value
        return json.dumps([text, row_id], ensure_ascii=False)


def paged(query: Query, id_column: InstrumentedAttribute[str], page: Page, *, ascending: bool = False) -> Query:
    if page.after is not None:
        query = query.where(id_column > page.after if ascending else id_column < page.after)
    return query.order_by(id_column.asc() if ascending else id_column.desc()).limit(page.limit + 1)


def sorted_page(query: Query, sort: Sort, id_column: InstrumentedAttribute[str], page: Page) -> Query:
    """As `paged`, in the order of `sort`. Both columns are compared as one, so that an index on them is enough.

    Raises MalformedBody `invalid_cursor` when `page.after` is no key of this sort: clients can make cursors up.
    """
    key: ColumnElement[Any] = tuple_(sort.column, id_column)
    if page.after is not None:
        last = tuple_(*_bound(sort, page.after))
        query = query.where(key < last if sort.descending else key > last)
    columns = (sort.column, id_column)
    return query.order_by(*(each.desc() if sort.descending else each.asc() for each in columns)).limit(page.limit + 1)


def _bound(sort: Sort, after: str) -> tuple[Any, str]:
    match _parsed(after):
        case [str() as text, str() as row_id] if isinstance(sort.column.type, UtcDateTime):
            return _instant(text), row_id
        case [value, str() as row_id] if type(value) is sort.column.type.python_type:
            return value, row_id
    raise _foreign()


def _parsed(after: str) -> Any:
    try:
        return json.loads(after)
    except ValueError:
        raise _foreign() from None


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _foreign() from None


def _foreign() -> MalformedBody:
    return MalformedBody("The cursor does not belong to this list and this order.", code="invalid_cursor")
