"""Every query about targets, whom monitors, groups and event endpoints tell; and about event endpoints."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.paging import Page, paged
from store.tables import EventEndpointRow, TargetRow


class Targets:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: TargetRow) -> None:
        self.session.add(row)

    async def get(self, target_id: str, *, for_update: bool = False) -> TargetRow | None:
        return await self.session.get(TargetRow, target_id, with_for_update=for_update, populate_existing=True)

    async def of(self, owner_ids: Sequence[str]) -> dict[str, list[TargetRow]]:
        """By owner, in their order; an owner without any is left out."""
        query = select(TargetRow).where(TargetRow.owner_id.in_(owner_ids)).order_by(TargetRow.position, TargetRow.id)
        found: dict[str, list[TargetRow]] = {}
        for row in await self.session.scalars(query):
            found.setdefault(row.owner_id, []).append(row)
        return found

    async def delete(self, target_ids: Sequence[str]) -> None:
        await self.session.execute(delete(TargetRow).where(TargetRow.id.in_(target_ids)))

    async def delete_group(self, group_id: str) -> None:
        """Monitors tell it no more."""
        await self.session.execute(delete(TargetRow).where(TargetRow.kind == "group", TargetRow.address == group_id))

    async def note_success(self, target_id: str) -> None:
        failing = update(TargetRow).where(TargetRow.id == target_id, TargetRow.failing_since.is_not(None))
        await self.session.execute(failing.values(failing_since=None))

    async def note_failure(self, target_id: str, at: datetime) -> None:
        fine = update(TargetRow).where(TargetRow.id == target_id, TargetRow.failing_since.is_(None))
        await self.session.execute(fine.values(failing_since=at))


class EventEndpoints:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: EventEndpointRow) -> None:
        self.session.add(row)

    async def get(self, endpoint_id: str, *, for_update: bool = False) -> EventEndpointRow | None:
        return await self.session.get(EventEndpointRow, endpoint_id, with_for_update=for_update)

    async def list(self, page: Page) -> Sequence[EventEndpointRow]:
        return (await self.session.scalars(paged(select(EventEndpointRow), EventEndpointRow.id, page))).all()

    async def enabled(self) -> Sequence[EventEndpointRow]:
        query = select(EventEndpointRow).where(EventEndpointRow.enabled).order_by(EventEndpointRow.id)
        return (await self.session.scalars(query)).all()

    async def delete(self, row: EventEndpointRow) -> None:
        await self.session.execute(delete(TargetRow).where(TargetRow.owner_id == row.id))
        await self.session.delete(row)
