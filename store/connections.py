"""Every query about connections: reusable ones, those of instances' own fields, and who uses which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import affected, contains_text, upsert
from store.paging import Page, paged
from store.tables import ConnectionRow, ConnectionUseRow, OAuthStateRow

ORGANIZATION = "organization"  # the owner of a connection that is no customer's
CONFIG, DEPLOYMENT = "config", "deployment"  # what names a reusable connection
FAILING = ("error", "needs_reauth")


@dataclass(frozen=True)
class ConnectionFilter:
    """Several values of one name are alternatives. `organization` among the owners: the organisation's own."""

    q: str | None = None
    kinds: Sequence[str] = ()
    owners: Sequence[str] = ()
    statuses: Sequence[str] = ()


class Connections:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: ConnectionRow) -> None:
        self.session.add(row)

    async def get(self, connection_id: str, *, for_update: bool = False) -> ConnectionRow | None:
        """As it is now, whatever the session has seen of it before."""
        return await self.session.get(ConnectionRow, connection_id, with_for_update=for_update, populate_existing=True)

    async def get_many(self, connection_ids: Sequence[str]) -> dict[str, ConnectionRow]:
        rows = await self.session.scalars(select(ConnectionRow).where(ConnectionRow.id.in_(connection_ids)))
        return {row.id: row for row in rows}

    async def list(self, wanted: ConnectionFilter, page: Page) -> Sequence[ConnectionRow]:
        """Reusable ones."""
        query = select(ConnectionRow).where(ConnectionRow.owner.is_not(None), *_conditions(wanted))
        return (await self.session.scalars(paged(query, ConnectionRow.id, page))).all()

    async def by_name(self, owner: str, name: str) -> ConnectionRow | None:
        query = select(ConnectionRow).where(ConnectionRow.owner == owner, ConnectionRow.name == name)
        return await self.session.scalar(query)

    async def own(self, instance_id: str) -> dict[str, ConnectionRow]:
        """What an instance's own connection fields have, by key."""
        rows = await self.session.scalars(select(ConnectionRow).where(ConnectionRow.instance_id == instance_id))
        return {row.key or "": row for row in rows}

    async def delete(self, connection_id: str) -> bool:
        await self.session.execute(delete(OAuthStateRow).where(OAuthStateRow.connection_id == connection_id))
        return bool(
            affected(await self.session.execute(delete(ConnectionRow).where(ConnectionRow.id == connection_id)))
        )

    # Who uses which

    async def use(self, instance_id: str, key: str, connection_id: str | None, source: str = CONFIG) -> None:
        """A field names this reusable connection from now on, or none."""
        at = {"instance_id": instance_id, "key": key, "source": source}
        if connection_id is not None:
            await upsert(self.session, ConnectionUseRow, at | {"connection_id": connection_id}, list(at))
            return
        of_field = delete(ConnectionUseRow).where(
            *(getattr(ConnectionUseRow, name) == each for name, each in at.items())
        )
        await self.session.execute(of_field)

    async def forgive(self, instance_id: str, key: str) -> None:
        """What was wrong with an own connection of fixed inputs says nothing about others."""
        of_field = update(ConnectionRow).where(ConnectionRow.instance_id == instance_id, ConnectionRow.key == key)
        await self.session.execute(of_field.where(ConnectionRow.values.is_(None)).values(status="active", error=None))

    async def deployed(self, instance_id: str, used: Mapping[str, str]) -> None:
        """What the deployment that is now current names, by key."""
        earlier = delete(ConnectionUseRow).where(ConnectionUseRow.instance_id == instance_id)
        await self.session.execute(earlier.where(ConnectionUseRow.source == DEPLOYMENT))
        for key, connection_id in used.items():
            await self.use(instance_id, key, connection_id, DEPLOYMENT)

    async def used_by(self, connection_ids: Sequence[str]) -> dict[str, int]:
        """How many instances; one that nobody uses is left out."""
        instances = func.count(ConnectionUseRow.instance_id.distinct())
        query = select(ConnectionUseRow.connection_id, instances).group_by(ConnectionUseRow.connection_id)
        rows = await self.session.execute(query.where(ConnectionUseRow.connection_id.in_(connection_ids)))
        return dict(rows.all())

    async def errors(self, instance_ids: Sequence[str]) -> dict[str, str]:
        """What is wrong with the connections of each instance, its own and those it uses; nothing is left out."""
        used = and_(ConnectionUseRow.connection_id == ConnectionRow.id, ConnectionUseRow.instance_id.in_(instance_ids))
        instance = func.coalesce(ConnectionRow.instance_id, ConnectionUseRow.instance_id)
        query = (
            select(instance, ConnectionRow.error, ConnectionRow.status)
            .outerjoin(ConnectionUseRow, used)
            .where(ConnectionRow.status.in_(FAILING), instance.in_(instance_ids))
            .order_by(ConnectionRow.id.desc())
        )
        return {row[0]: row[1] or row[2] for row in await self.session.execute(query)}

    # Tokens: whoever changes them says which version of them they have seen.

    async def lease(self, connection_id: str, version: int, owner: str, now: datetime, until: datetime) -> bool:
        """Whether `owner` may renew the tokens, alone until then."""
        free = or_(ConnectionRow.lease_until.is_(None), ConnectionRow.lease_until <= now)
        statement = update(ConnectionRow).where(
            ConnectionRow.id == connection_id, ConnectionRow.token_version == version, free
        )
        return bool(affected(await self.session.execute(statement.values(lease_owner=owner, lease_until=until))))

    async def release(self, connection_id: str, owner: str, **values: Any) -> None:
        statement = update(ConnectionRow).where(ConnectionRow.id == connection_id, ConnectionRow.lease_owner == owner)
        await self.session.execute(statement.values(lease_owner=None, lease_until=None, **values))

    async def change(self, connection_id: str, version: int, **values: Any) -> bool:
        """False when the tokens have changed meanwhile: then nothing else has."""
        statement = update(ConnectionRow).where(
            ConnectionRow.id == connection_id, ConnectionRow.token_version == version
        )
        return bool(affected(await self.session.execute(statement.values(**values))))


class OAuthStates:
    """Authorisations under way."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: OAuthStateRow) -> None:
        self.session.add(row)

    async def get(self, state_id: str) -> OAuthStateRow | None:
        return await self.session.get(OAuthStateRow, state_id, populate_existing=True)

    async def by_state(self, state_hash: str) -> OAuthStateRow | None:
        return await self.session.scalar(select(OAuthStateRow).where(OAuthStateRow.state_hash == state_hash))

    async def begin(self, state_id: str, state_hash: str, browser_hash: str, now: datetime) -> bool:
        """The first browser gets it, and no other."""
        unused = update(OAuthStateRow).where(OAuthStateRow.id == state_id, OAuthStateRow.state_hash.is_(None))
        begun = unused.where(OAuthStateRow.expires_at > now).values(state_hash=state_hash, browser_hash=browser_hash)
        return bool(affected(await self.session.execute(begun)))

    async def take(self, state_id: str) -> bool:
        """Once: False when somebody else has taken it."""
        return bool(affected(await self.session.execute(delete(OAuthStateRow).where(OAuthStateRow.id == state_id))))

    async def purge(self, before: datetime) -> None:
        await self.session.execute(delete(OAuthStateRow).where(OAuthStateRow.expires_at < before))


def _conditions(wanted: ConnectionFilter) -> list[ColumnElement[bool]]:
    any_of = (
        (ConnectionRow.kind, wanted.kinds),
        (ConnectionRow.owner, wanted.owners),
        (ConnectionRow.status, wanted.statuses),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in any_of if values]
    if wanted.q:
        conditions.append(contains_text(ConnectionRow.name, wanted.q))
    return conditions
