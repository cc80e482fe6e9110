"""How lists are cut: newest first by id, which sorts by time, with one row more than asked to tell that more follow."""

from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

Query = TypeVar("Query", bound=Select[*tuple[object, ...]])


@dataclass(frozen=True)
class Page:
    """`after` is the id of the last row of the page before; whoever asks cuts the row past `limit`."""

    limit: int
    after: str | None = None


def paged(query: Query, id_column: InstrumentedAttribute[str], page: Page) -> Query:
    if page.after is not None:
        query = query.where(id_column < page.after)
    return query.order_by(id_column.desc()).limit(page.limit + 1)
