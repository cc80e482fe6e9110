"""Every query about data keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from store.dialect import insert_ignore
from store.tables import DataKeyRow


class DataKeys:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, key_id: str) -> DataKeyRow | None:
        return await self.session.get(DataKeyRow, key_id)

    async def current(self, owner: str) -> DataKeyRow | None:
        """Held until the transaction ends: while a value is being written under a key, nobody removes it."""
        query = select(DataKeyRow).where(DataKeyRow.owner == owner).order_by(DataKeyRow.generation.desc()).limit(1)
        return await self.session.scalar(query.with_for_update(read=True, key_share=True))

    async def current_ids(self, owners: Sequence[str]) -> dict[str, str]:
        """Which key encrypts, by owner."""
        query = select(DataKeyRow.owner, DataKeyRow.id).where(DataKeyRow.owner.in_(owners))
        return dict((await self.session.execute(query.order_by(DataKeyRow.generation))).all())

    async def wrapped_otherwise(self, key_id: str, after: str, limit: int) -> Sequence[DataKeyRow]:
        """Those that are not under this key of the ring. By id and held, as in all the lists here."""
        return await self._page(after, limit, DataKeyRow.wrapped_by != key_id)

    async def of_before(self, at: datetime, owner: str | None, after: str, limit: int) -> Sequence[DataKeyRow]:
        """Those made before then that still encrypt, of one owner or of all."""
        return await self._page(after, limit, ~_replaced(), DataKeyRow.created_at < at, *_of(owner))

    async def replaced(self, owner: str | None, after: str, limit: int) -> Sequence[DataKeyRow]:
        """Those that encrypt no more. Whoever is still writing a value under one of them is waited for."""
        return await self._page(after, limit, _replaced(), *_of(owner), exclusive=True)

    async def count_otherwise(self, key_id: str) -> int:
        query = select(func.count()).select_from(DataKeyRow).where(DataKeyRow.wrapped_by != key_id)
        return await self.session.scalar(query) or 0

    async def delete(self, row: DataKeyRow) -> None:
        await self.session.delete(row)
        await self.session.flush()

    async def hold(self, owner: str) -> None:
        """Before they are all deleted: a rotation that is adding one is waited for, so that it goes too."""
        of_owner = select(DataKeyRow.id).where(DataKeyRow.owner == owner)
        await self.session.execute(of_owner.with_for_update())

    async def delete_of(self, owner: str) -> None:
        """Nothing that was encrypted with them can be read ever again."""
        await self.hold(owner)
        await self.session.execute(delete(DataKeyRow).where(DataKeyRow.owner == owner))

    async def counts(self) -> dict[str, int]:
        """How many are wrapped under each key of the ring."""
        query = select(DataKeyRow.wrapped_by, func.count()).group_by(DataKeyRow.wrapped_by)
        return dict((await self.session.execute(query)).all())

    async def add(self, row: DataKeyRow) -> bool:
        """False when another process has added this generation first."""
        values = {column.name: getattr(row, column.name) for column in DataKeyRow.__table__.columns}
        return bool(await insert_ignore(self.session, DataKeyRow, values, ["owner", "generation"]))

    async def _page(
        self, after: str, limit: int, *conditions: ColumnElement[bool], exclusive: bool = False
    ) -> Sequence[DataKeyRow]:
        query = select(DataKeyRow).where(DataKeyRow.id > after, *conditions).order_by(DataKeyRow.id).limit(limit)
        locked = query.with_for_update(key_share=not exclusive).execution_options(populate_existing=True)
        return (await self.session.scalars(locked)).all()


def _replaced() -> ColumnElement[bool]:
    newer = aliased(DataKeyRow)
    return exists().where(newer.owner == DataKeyRow.owner, newer.generation > DataKeyRow.generation)


def _of(owner: str | None) -> list[ColumnElement[bool]]:
    return [] if owner is None else [DataKeyRow.owner == owner]
