"""Every query about customers."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.data_keys import DataKeys
from store.dialect import affected, contains_text, has_labels
from store.paging import Page, paged
from store.tables import ConnectionRow, CustomerRow, InstanceRow, OAuthStateRow


@dataclass(frozen=True)
class CustomerFilter:
    """`q` looks into name and external id."""

    q: str | None = None
    external_ids: Sequence[str] = ()
    labels: Sequence[str] = ()


class Customers:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: CustomerRow) -> None:
        self.session.add(row)

    async def get(self, customer_id: str, *, for_update: bool = False) -> CustomerRow | None:
        return await self.session.get(CustomerRow, customer_id, with_for_update=for_update)

    async def by_name(self, name: str) -> CustomerRow | None:
        return await self.session.scalar(select(CustomerRow).where(CustomerRow.name == name))

    async def by_external_id(self, external_id: str) -> CustomerRow | None:
        return await self.session.scalar(select(CustomerRow).where(CustomerRow.external_id == external_id))

    async def names(self, customer_ids: Sequence[str]) -> dict[str, str]:
        """By id; who has been deleted is left out."""
        query = select(CustomerRow.id, CustomerRow.name).where(CustomerRow.id.in_(set(customer_ids)))
        return dict((await self.session.execute(query)).all())

    async def list(self, wanted: CustomerFilter, page: Page) -> Sequence[CustomerRow]:
        query = select(CustomerRow).where(*_conditions(self.session, wanted))
        return (await self.session.scalars(paged(query, CustomerRow.id, page))).all()

    async def instance_ids(self, customer_id: str, limit: int) -> Sequence[str]:
        query = select(InstanceRow.id).where(InstanceRow.customer_id == customer_id).order_by(InstanceRow.id)
        return (await self.session.scalars(query.limit(limit))).all()

    async def mark_instances(self, customer_id: str) -> Sequence[str]:
        """They are being deleted, with their customer. Ids of those that were not before."""
        of_customer = update(InstanceRow).where(InstanceRow.customer_id == customer_id, ~InstanceRow.deleting)
        marked = of_customer.values(deleting=True).returning(InstanceRow.id)
        return (await self.session.scalars(marked)).all()

    async def delete(self, customer_id: str) -> bool:
        """With its reusable connections and its data keys; its instances are gone already."""
        await DataKeys(self.session).delete_of(customer_id)
        owned = select(ConnectionRow.id).where(ConnectionRow.customer_id == customer_id)
        await self.session.execute(delete(OAuthStateRow).where(OAuthStateRow.connection_id.in_(owned)))
        await self.session.execute(delete(ConnectionRow).where(ConnectionRow.customer_id == customer_id))
        return bool(affected(await self.session.execute(delete(CustomerRow).where(CustomerRow.id == customer_id))))


def _conditions(session: AsyncSession, wanted: CustomerFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.q:
        searched = (CustomerRow.name, CustomerRow.external_id)
        conditions.append(or_(*(contains_text(column, wanted.q) for column in searched)))
    if wanted.external_ids:
        conditions.append(CustomerRow.external_id.in_(wanted.external_ids))
    if wanted.labels:
        conditions.append(has_labels(session, CustomerRow.labels, wanted.labels))
    return conditions
