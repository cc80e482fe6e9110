"""Encrypted columns: walking, counting and rewriting them, without knowing keys or what is inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, LargeBinary, String, case, cast, func, null, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from store.dialect import table_of
from store.tables import Base, InstanceRow

HEAD = 66  # bytes: what a value tells of its key, at most

Key = tuple[Any, ...]


@dataclass(frozen=True)
class SealedColumn:
    """`customer`: the query for whose data key a row's value is under, null for the organisation's. `None` where values
    are straight under the key ring."""

    row: type[Base]
    column: InstrumentedAttribute[Any]
    customer: ColumnElement[str | None] | InstrumentedAttribute[Any] | None = None
    instance_id: InstrumentedAttribute[Any] | None = None  # where a customer's rows are found through its instances

    @property
    def name(self) -> str:
        return f"{self.row.__tablename__}.{self.column.key}"

    @property
    def keys(self) -> list[Column[Any]]:
        return list(table_of(self.row).primary_key.columns)

    def belongs(self, customer_id: str | None) -> ColumnElement[bool]:
        of_customer: ColumnElement[bool]
        if self.instance_id is not None:
            of_customer = self.instance_id.in_(select(InstanceRow.id).where(InstanceRow.customer_id == customer_id))
        else:
            assert self.customer is not None, f"{self.name} is nobody's"
            of_customer = self.customer == customer_id  # IS NULL for None
        return of_customer


def of_instance(
    row: type[Base], column: InstrumentedAttribute[Any], instance_id: InstrumentedAttribute[Any]
) -> SealedColumn:
    """A column under the data key of the instance's customer."""
    customer = select(InstanceRow.customer_id).where(InstanceRow.id == instance_id).scalar_subquery()
    return SealedColumn(row, column, customer, instance_id)


def of_organization(row: type[Base], column: InstrumentedAttribute[Any]) -> SealedColumn:
    """A column under the organisation's data key."""
    return SealedColumn(row, column, cast(null(), String))


@dataclass(frozen=True)
class Found:
    """`head` is the beginning of the value, which names its key."""

    key: Key
    customer_id: str | None
    head: bytes
    size: int


class Sealed:
    def __init__(self, session: AsyncSession, sealed: SealedColumn) -> None:
        self.session = session
        self.sealed = sealed

    async def after(self, key: Key | None, limit: int, of: ColumnElement[bool] | None = None) -> Sequence[Found]:
        """Values in the order of their rows' keys, from there on."""
        column, keys = self.sealed.column, self.sealed.keys
        customer = null() if self.sealed.customer is None else self.sealed.customer
        query = select(*keys, customer, _head(column), func.length(column)).where(column.is_not(None))
        if key is not None:
            query = query.where(tuple_(*keys) > tuple_(*key))
        if of is not None:
            query = query.where(of)
        rows = await self.session.execute(query.order_by(*keys).limit(limit))
        return [Found(tuple(row[:-3]), *row[-3:]) for row in rows]

    async def hold(self, keys: Sequence[Key], *, wait: bool) -> Sequence[tuple[Key, bytes]]:
        """The values as they are now, held until the transaction ends; those that others hold are waited for or left
        out. Who holds several must not wait: another may want them in another order."""
        columns = self.sealed.keys
        query = select(*columns, self.sealed.column).where(tuple_(*columns).in_(keys))
        query = query.where(self.sealed.column.is_not(None)).with_for_update(of=self.sealed.row, skip_locked=not wait)
        return [(tuple(row[:-1]), row[-1]) for row in await self.session.execute(query)]

    async def put(self, key: Key, blob: bytes) -> None:
        """Of a row that is held."""
        at = [column == value for column, value in zip(self.sealed.keys, key, strict=True)]
        await self.session.execute(update(table_of(self.sealed.row)).where(*at).values({self.sealed.column.key: blob}))

    async def counts(self, prefixes: Sequence[bytes], of: ColumnElement[bool] | None = None) -> list[int]:
        """How many values begin with each. Reads the whole column."""
        query = select(*(func.count(case((begins(self.sealed.column, each), 1))) for each in prefixes))
        query = query.select_from(self.sealed.row).where(self.sealed.column.is_not(None))
        return list((await self.session.execute(query if of is None else query.where(of))).one())

    async def any(self, *conditions: ColumnElement[bool]) -> bytes | None:
        """The head of some value for which they hold."""
        query = select(_head(self.sealed.column)).where(self.sealed.column.is_not(None), *conditions)
        head: bytes | None = await self.session.scalar(query.limit(1))
        return head


def begins(column: InstrumentedAttribute[Any], prefix: bytes) -> ColumnElement[bool]:
    return func.substr(column, 1, len(prefix), type_=LargeBinary) == prefix


def _head(column: InstrumentedAttribute[Any]) -> ColumnElement[bytes]:
    return func.substr(column, 1, HEAD, type_=LargeBinary)
