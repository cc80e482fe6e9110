"""Every query about integrations and their versions."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from store.dialect import contains_text, has_labels
from store.paging import Page, paged
from store.tables import InstanceRow, IntegrationRow, VersionRow


@dataclass(frozen=True)
class IntegrationFilter:
    """`q` looks into name and key."""

    q: str | None = None
    labels: Sequence[str] = ()
    categories: Sequence[str] = ()


@dataclass(frozen=True)
class LatestVersion:
    id: str
    number: int


class Integrations:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: IntegrationRow) -> None:
        self.session.add(row)

    async def get(self, integration_id: str, *, for_update: bool = False) -> IntegrationRow | None:
        return await self.session.get(IntegrationRow, integration_id, with_for_update=for_update)

    async def by_key(self, key: str, *, for_update: bool = False) -> IntegrationRow | None:
        query = select(IntegrationRow).where(IntegrationRow.key == key)
        return await self.session.scalar(query.with_for_update() if for_update else query)

    async def list(self, wanted: IntegrationFilter, page: Page) -> Sequence[IntegrationRow]:
        query = select(IntegrationRow).where(*_conditions(self.session, wanted))
        return (await self.session.scalars(paged(query, IntegrationRow.id, page))).all()

    async def unpublished(self, integration_ids: Sequence[str]) -> set[str]:
        """Those whose draft differs from the latest version, or that have none."""
        latest = (VersionRow.integration_id == IntegrationRow.id) & (VersionRow.number == IntegrationRow.latest_number)
        query = (
            select(IntegrationRow.id)
            .outerjoin(VersionRow, latest & (VersionRow.text == IntegrationRow.draft_text))
            .where(IntegrationRow.id.in_(integration_ids), VersionRow.id.is_(None))
        )
        return set(await self.session.scalars(query))

    def add_version(self, row: VersionRow) -> None:
        self.session.add(row)

    async def version(self, version_id: str) -> VersionRow | None:
        return await self.session.get(VersionRow, version_id)

    async def version_by_number(self, integration_id: str, number: int) -> VersionRow | None:
        return await self.session.scalar(
            select(VersionRow).where(VersionRow.integration_id == integration_id, VersionRow.number == number)
        )

    async def versions(self, integration_id: str, page: Page) -> Sequence[VersionRow]:
        query = select(VersionRow).where(VersionRow.integration_id == integration_id)
        return (await self.session.scalars(paged(query, VersionRow.id, page))).all()

    async def latest_available(self, integration_id: str) -> VersionRow | None:
        """The version that a new instance gets."""
        return await self.session.scalar(
            select(VersionRow)
            .where(VersionRow.integration_id == integration_id, VersionRow.available)
            .order_by(VersionRow.number.desc())
            .limit(1)
        )

    async def latest_versions(self, integration_ids: Sequence[str]) -> dict[str, LatestVersion]:
        """Of each integration that has one, the available version with the highest number."""
        newest = (
            select(VersionRow.integration_id, func.max(VersionRow.number).label("number"))
            .where(VersionRow.integration_id.in_(integration_ids), VersionRow.available)
            .group_by(VersionRow.integration_id)
            .subquery()
        )
        query = select(VersionRow.integration_id, VersionRow.id, VersionRow.number).join(
            newest, (newest.c.integration_id == VersionRow.integration_id) & (newest.c.number == VersionRow.number)
        )
        return {of: LatestVersion(id, number) for of, id, number in await self.session.execute(query)}

    async def instance_counts(self, integration_ids: Sequence[str]) -> dict[str, int]:
        """Instances of each integration; those on their way out do not count."""
        return await self._counts(InstanceRow.integration_id, integration_ids)

    async def version_instance_counts(self, version_ids: Sequence[str]) -> dict[str, int]:
        return await self._counts(InstanceRow.version_id, version_ids)

    async def _counts(self, column: InstrumentedAttribute[str], ids: Sequence[str]) -> dict[str, int]:
        query = select(column, func.count()).where(column.in_(ids), ~InstanceRow.deleting).group_by(column)
        counted = dict.fromkeys(ids, 0)
        for key, count in await self.session.execute(query):
            counted[key] = count
        return counted


def _conditions(session: AsyncSession, wanted: IntegrationFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.q:
        searched = (IntegrationRow.name, IntegrationRow.key)
        conditions.append(or_(*(contains_text(column, wanted.q) for column in searched)))
    if wanted.categories:
        conditions.append(IntegrationRow.category.in_(wanted.categories))
    if wanted.labels:
        conditions.append(has_labels(session, IntegrationRow.labels, wanted.labels))
    return conditions
