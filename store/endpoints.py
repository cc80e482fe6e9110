"""Every query about addresses that several flows have in common, and about what a webhook's token leads to."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Select, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from store.tables import CustomerRow, InstanceFlowRow, InstanceRow, IntegrationRow

Addressed = InstanceFlowRow | InstanceRow | IntegrationRow

FLOW, INSTANCE, INTEGRATION = "flow", "instance", "integration"
_TABLES: dict[str, type[Addressed]] = {FLOW: InstanceFlowRow, INSTANCE: InstanceRow, INTEGRATION: IntegrationRow}


class Owner(NamedTuple):
    """What a token was given to: a flow, an instance or an integration. Never changes."""

    kind: str
    id: str


class Endpoints:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def owner(self, token: str) -> Owner | None:
        """Of a token that is current or was the one before, for however long that may be heard."""
        found = union_all(
            *(
                select(literal(kind), table.id).where(or_(table.token == token, table.previous_token == token))
                for kind, table in _TABLES.items()
            )
        )
        row = (await self.session.execute(found)).first()
        return Owner(*row) if row is not None else None

    async def instance(self, instance_id: str) -> tuple[InstanceRow, CustomerRow] | None:
        """With its customer, in one query."""
        found = (await self.session.execute(_with_customer().where(InstanceRow.id == instance_id))).one_or_none()
        return None if found is None else (found[0], found[1])

    async def shared_with(self, integration_id: str, external_id: str) -> Sequence[tuple[InstanceRow, CustomerRow]]:
        """A customer's instances that are deployed to be reached at the integration's address, newest first."""
        query = _with_customer().where(
            CustomerRow.external_id == external_id,
            InstanceRow.integration_id == integration_id,
            InstanceRow.endpoint_mode == "shared_instance",
            InstanceRow.deployment_id.is_not(None),
            ~InstanceRow.deleting,
        )
        rows = await self.session.execute(query.order_by(InstanceRow.id.desc()))
        return [(instance, customer) for instance, customer in rows]

    async def integrations(self, ids: Sequence[str]) -> dict[str, IntegrationRow]:
        """By id."""
        rows = await self.session.scalars(select(IntegrationRow).where(IntegrationRow.id.in_(ids)))
        return {row.id: row for row in rows}

    async def flow(self, instance_id: str, key: str) -> InstanceFlowRow | None:
        """Active ones only: what the deployed version has."""
        query = select(InstanceFlowRow).where(InstanceFlowRow.instance_id == instance_id, InstanceFlowRow.key == key)
        return await self.session.scalar(query.where(InstanceFlowRow.active))


def _with_customer() -> Select[InstanceRow, CustomerRow]:
    return select(InstanceRow, CustomerRow).join(CustomerRow, CustomerRow.id == InstanceRow.customer_id)
