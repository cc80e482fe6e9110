"""State of executions, flows, instances and integrations. Whoever means to change a key holds it meanwhile."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import TooLarge
from store.dialect import affected, insert_ignore
from store.paging import Page
from store.tables import InstanceRow, IntegrationStateRow, StateRow

LARGEST = 64 * 1024 * 1024  # bytes, of all that an instance has, and of an integration

Row = StateRow | IntegrationStateRow


class Place(NamedTuple):
    """Whose state. `instance_id`: what it counts to; none of an integration's, which has a table of its own."""

    scope: str
    owner_id: str
    instance_id: str | None = None
    execution_id: str | None = None

    @property
    def table(self) -> type[Row]:
        return StateRow if self.instance_id is not None else IntegrationStateRow

    def rows(self) -> ColumnElement[bool]:
        mine: ColumnElement[bool] = self.table.owner_id == self.owner_id
        return (StateRow.scope == self.scope) & mine if self.instance_id is not None else mine


class State:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def hold(self, place: Place, key: str, now: datetime) -> Row:
        """The key's row, locked; made without a value where it is new, so that two writers meet at the lock."""
        values: dict[str, Any] = {"owner_id": place.owner_id, "key": key, "value": None, "updated_at": now}
        unique = ["owner_id", "key"]
        if place.instance_id is not None:
            unique = ["scope", *unique]
            values |= {"scope": place.scope, "instance_id": place.instance_id, "execution_id": place.execution_id}
        await insert_ignore(self.session, place.table, values, unique)
        row = await self._row(place, key, for_update=True)
        if row is None:
            raise LookupError(f"state {place.scope}/{key} vanished while it was held")
        return row

    async def get(self, place: Place, key: str) -> Row | None:
        row = await self._row(place, key)
        return row if row is not None and row.value is not None else None

    async def list(self, place: Place, page: Page) -> Sequence[Row]:
        """In the order of the keys."""
        table = place.table
        query = select(table).where(place.rows(), table.value.is_not(None))
        if page.after is not None:
            query = query.where(table.key > page.after)
        rows = await self.session.scalars(query.order_by(table.key).limit(page.limit + 1))
        return cast(Sequence[Row], rows.all())

    async def change(self, place: Place, row: Row, value: bytes | None, now: datetime) -> None:
        """Of a row that is held. Raises TooLarge `state_full` when there is no room for it."""
        size = 0 if value is None else len(row.key.encode()) + len(value)
        if size > row.size and await self._size(place) - row.size + size > LARGEST:
            raise TooLarge("There is no more room: all state together may take 64 MiB.", code="state_full")
        row.value, row.size, row.updated_at = value, size, now
        row.revision += 1
        await self.session.flush()

    async def clear(self, place: Place, now: datetime) -> int:
        """How many values went. Their rows stay, as the locks that they are."""
        table = place.table
        changes = {"value": None, "size": 0, "updated_at": now, "revision": table.revision + 1}
        statement = update(table).where(place.rows(), table.value.is_not(None)).values(changes)
        return affected(await self.session.execute(statement.execution_options(synchronize_session=False)))

    async def integration_of(self, instance_id: str) -> str:
        query = select(InstanceRow.integration_id).where(InstanceRow.id == instance_id)
        return (await self.session.scalars(query)).one()

    async def _size(self, place: Place) -> int:
        if place.instance_id is None:
            query = select(func.sum(IntegrationStateRow.size)).where(place.rows())
        else:
            query = select(func.sum(StateRow.size)).where(StateRow.instance_id == place.instance_id)
        return await self.session.scalar(query) or 0

    async def _row(self, place: Place, key: str, *, for_update: bool = False) -> Row | None:
        query = select(place.table).where(place.rows(), place.table.key == key)
        if for_update:
            query = query.with_for_update().execution_options(populate_existing=True)
        return cast(Row | None, await self.session.scalar(query))
