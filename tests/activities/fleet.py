"""Deployed instances of one integration, and an upgrade of them to its second version."""

from dataclasses import dataclass, replace
from typing import Any

from domain.definitions.model import Definition
from domain.upgrades import ItemStatus, Wish, ring_ends
from store.tables import (
    CustomerRow,
    InstanceFlowRow,
    InstanceRow,
    IntegrationRow,
    UpgradeItemRow,
    UpgradeRow,
    VersionRow,
)
from store.upgrades import Upgrades
from tests.activities.kit import Kit, definition
from tests.factories import (
    NOW,
    an_id,
    customer,
    deployment,
    instance,
    instance_flow,
    integration,
    job,
    save,
    saved,
    version,
)

MOVED = definition({"name": "Hello again"}, {"key": "more"})


@dataclass(frozen=True)
class Fleet:
    kit: Kit
    customer: CustomerRow
    integration: IntegrationRow
    first: VersionRow
    second: VersionRow
    instances: list[InstanceRow]
    flows: list[InstanceFlowRow]

    async def upgrade(self, ends: list[int] | None = None, **of_upgrade: Any) -> str:
        """Of all of them, in this order."""
        asked = job(id=an_id("upg"), kind="upgrade", object_id=self.integration.id, total=len(self.instances))
        defaults = {
            "integration_id": self.integration.id,
            "version_id": self.second.id,
            "principal": "bootstrap",
            "redeploy": True,
            "rings": [],
            "ring_ends": ring_ends([], len(self.instances)) if ends is None else ends,
            "min_executions": 1,
            "watch_seconds": 0.0,
            "wish": Wish.RUN,
            "created_at": NOW,
            "updated_at": NOW,
        }
        row = UpgradeRow(id=asked.id, **defaults | of_upgrade)
        items: list[dict[str, Any]] = [
            {
                "upgrade_id": row.id,
                "position": position,
                "instance_id": each.id,
                "ring": 1,
                "status": ItemStatus.PENDING,
                "problems": [],
                "from_version_id": each.version_id,
                "from_deployed_version_id": None,
                "updated_at": NOW,
            }
            for position, each in enumerate(self.instances, 1)
        ]
        async with self.kit.database.transaction() as session:
            await save(session, asked)
            await Upgrades(session).add(row, items)
        return row.id

    def joined(self, other: "Fleet") -> "Fleet":
        """With those of another integration: what an upgrade moves is told by its items alone."""
        return replace(self, instances=[*self.instances, *other.instances], flows=[*self.flows, *other.flows])

    async def wish(self, upgrade_id: str, wish: str) -> None:
        async with self.kit.database.transaction() as session:
            await Upgrades(session).change(upgrade_id, NOW, wish=wish)

    async def upgraded(self, upgrade_id: str, count: int) -> bool:
        return (await self.statuses(upgrade_id)).get(ItemStatus.OK, 0) >= count

    async def instance(self, at: int = 0) -> InstanceRow:
        async with self.kit.database.snapshot() as session:
            return await session.get_one(InstanceRow, self.instances[at].id)

    async def item(self, upgrade_id: str, position: int = 1) -> UpgradeItemRow:
        async with self.kit.database.snapshot() as session:
            return await session.get_one(UpgradeItemRow, (upgrade_id, position))

    async def statuses(self, upgrade_id: str) -> dict[str, int]:
        async with self.kit.database.snapshot() as session:
            counts = await Upgrades(session).counts(upgrade_id)
        return {status: count for status, count in counts.items() if count}


async def fleet(kit: Kit, size: int = 1, *, to: Definition = MOVED, deployed: bool = True, **of_instance: Any) -> Fleet:
    owner, offered = customer(), integration(definition({}))
    first, second = version(offered), version(offered, 2, definition=to.model_dump(mode="json", by_alias=True))
    await saved(kit.database, owner, offered, first, second)
    instances, flows = [], []
    for _ in range(size):
        made = instance(owner, first, needs_deploy=not deployed, **of_instance)
        flow = instance_flow(made)
        rows: list[Any] = [made, flow]
        if deployed:
            current = deployment(made, first)
            made.deployment_id, made.deployed_at = current.id, NOW
            rows = [made, current, flow]
        await saved(kit.database, *rows)
        instances.append(made)
        flows.append(flow)
    return Fleet(kit, owner, offered, first, second, instances, flows)
