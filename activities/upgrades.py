"""Bulk upgrades: what becomes of each instance, and how the upgraded ones fare. The ledger alone, no deploys.

Everything may be repeated: an item that is settled stays so, and its deploy's id is chosen once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.configuration import Configuration
from activities.deploys import deployment_id_of, sync_flows
from activities.outbox import note
from activities.vault import Vault
from activities.versions import move_in_bulk
from domain.bulk import ItemClaim, ItemOutcome, UpgradeItem, UpgradePlan, UpgradeRing, UpgradeSight, UpgradeStop
from domain.messages import DeployInput, Failure, JobEnd
from domain.upgrades import ItemStatus, SkipReason, Standing, Wish
from runtime.clock import utcnow
from runtime.ids import new_id
from store.engine import Database
from store.instances import Instances
from store.jobs import ENDED, Jobs
from store.tables import DeploymentRow, EventRow, InstanceRow, JobRow, UpgradeItemRow, UpgradeRow, VersionRow
from store.upgrades import Upgrades

SETTLED, WAIT = ItemClaim("settled"), ItemClaim("wait")
NOT_TO_BE_UPGRADED = {  # a deploy's refusal that is no failure of the new version's
    "not_found": SkipReason.DELETING,
    "state_conflict": SkipReason.DELETING,
    "instance_suspended": SkipReason.SUSPENDED,
}


class UpgradeActivities:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._configuration = Configuration(vault)

    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        return [
            self.begin_upgrade,
            self.claim_item,
            self.settle_item,
            self.watch_upgrade,
            self.ask_upgrade,
            self.pass_ring,
            self.stop_upgrade,
            self.claim_rollback,
            self.settle_rollback,
            self.end_upgrade,
        ]

    @activity.defn
    async def begin_upgrade(self, job_id: str) -> UpgradePlan:
        async with self._database.transaction() as session:
            row = await Upgrades(session).get(job_id)
            job = await Jobs(session).get(job_id)
            if row is None or job is None or job.state in ENDED:
                return UpgradePlan(proceed=False)
            await Jobs(session).enter(job_id, "rolling_back" if row.stopped else "upgrading", utcnow())
        return UpgradePlan(
            proceed=True,
            ring_ends=row.ring_ends,
            rings_passed=row.rings_passed,
            rate_per_second=row.rate_per_second,
            stop_at_failure_percent=row.stop_at_failure_percent,
            min_executions=row.min_executions,
            watch_seconds=row.watch_seconds,
            stopped=Failure(**row.stopped) if row.stopped else None,
        )

    @activity.defn
    async def claim_item(self, given: UpgradeItem) -> ItemClaim:
        """Settles what needs no deploy. Of the rest it says which deploy is the item's own."""
        async with self._database.transaction() as session:
            upgrade = await session.get_one(UpgradeRow, given.job_id)
            item = await Upgrades(session).item(given.job_id, given.position)
            if item is None or item.status != ItemStatus.PENDING:
                return SETTLED
            if upgrade.wish != Wish.RUN:
                return WAIT
            return await self._claim(session, upgrade, item)

    @activity.defn
    async def settle_item(self, outcome: ItemOutcome) -> None:
        """After the item's deploy, however it ended."""
        given = outcome.item
        async with self._database.transaction() as session:
            upgrade = await session.get_one(UpgradeRow, given.job_id)
            item = await Upgrades(session).item(given.job_id, given.position)
            if item is None or item.status != ItemStatus.PENDING:
                return
            if outcome.failure is None:
                await _settle_deployed(session, upgrade, item)
            elif reason := NOT_TO_BE_UPGRADED.get(outcome.failure.code):
                await _settle(session, item, ItemStatus.SKIPPED, reason=reason)
            else:
                await _settle(session, item, ItemStatus.FAILED, problems=_problems(outcome.failure))

    @activity.defn
    async def watch_upgrade(self, job_id: str) -> UpgradeSight:
        async with self._database.transaction() as session:
            upgrade = await session.get_one(UpgradeRow, job_id)
            upgrades = Upgrades(session)
            rate = await upgrades.failure_rate(upgrade)
            await upgrades.change(job_id, utcnow(), observed=asdict(rate))
            await Jobs(session).enter(job_id, "watching", utcnow())
            running = await upgrades.count_deployed(job_id)
        return UpgradeSight(upgrade.wish, running, rate.ended, rate.failed)

    @activity.defn
    async def ask_upgrade(self, job_id: str) -> str:
        """What people want of it: domain Wish."""
        async with self._database.snapshot() as session:
            return (await session.get_one(UpgradeRow, job_id)).wish

    @activity.defn
    async def pass_ring(self, passed: UpgradeRing) -> None:
        async with self._database.transaction() as session:
            await Upgrades(session).change(passed.job_id, utcnow(), rings_passed=passed.ring)
            await Jobs(session).enter(passed.job_id, "upgrading", utcnow())

    @activity.defn
    async def stop_upgrade(self, stop: UpgradeStop) -> None:
        """From here on it is rolled back."""
        async with self._database.transaction() as session:
            now = utcnow()
            await Upgrades(session).change(stop.job_id, now, stopped=asdict(stop.failure), wish=Wish.RUN)
            await Upgrades(session).skip_pending(stop.job_id, SkipReason.STOPPED, now)
            await Jobs(session).change(stop.job_id, now, state="running")
            await Jobs(session).enter(stop.job_id, "rolling_back", now)

    @activity.defn
    async def claim_rollback(self, given: UpgradeItem) -> ItemClaim:
        """Only what this upgrade has moved, and nobody has moved on since."""
        async with self._database.transaction() as session:
            upgrade = await session.get_one(UpgradeRow, given.job_id)
            item = await Upgrades(session).item(given.job_id, given.position)
            if item is None or item.status != ItemStatus.OK:
                return SETTLED
            return await self._claim_rollback(session, upgrade, item)

    @activity.defn
    async def settle_rollback(self, outcome: ItemOutcome) -> None:
        given = outcome.item
        async with self._database.transaction() as session:
            upgrade = await session.get_one(UpgradeRow, given.job_id)
            item = await Upgrades(session).item(given.job_id, given.position)
            if item is None or item.status != ItemStatus.OK:
                return
            if outcome.failure is not None:
                await _change(session, item, ItemStatus.FAILED, problems=_problems(outcome.failure, "rollback_failed"))
                return
            instance = await Instances(session).get(item.instance_id, for_update=True)
            if instance is not None:
                await self._settle_rolled_back(session, upgrade, item, instance)

    @activity.defn
    async def end_upgrade(self, end: JobEnd) -> None:
        """What is still pending is not upgraded any more. The first end stays."""
        async with self._database.transaction() as session:
            now = utcnow()
            await Upgrades(session).skip_pending(end.job_id, SkipReason.ABORTED, now)
            counts = await Upgrades(session).counts(end.job_id)
            counted = {"done": JobRow.total, "failed": counts[ItemStatus.FAILED], "result": counts}
            error = asdict(end.failure) if end.failure is not None else None
            if end.stage is not None:
                await Jobs(session).enter(end.job_id, end.stage, now)
            await Jobs(session).change(end.job_id, now, state=end.state, stage=end.stage, error=error, **counted)

    async def _claim(self, session: AsyncSession, upgrade: UpgradeRow, item: UpgradeItemRow) -> ItemClaim:
        instance = await Instances(session).get(item.instance_id, for_update=True)
        if item.job_id is not None:
            return await self._claim_again(session, upgrade, item)
        standing = await _standing(session, instance)
        reason = standing.reason_to_skip(upgrade.version_id, upgrade.redeploy)
        if instance is None or reason is not None:
            await _settle(session, item, ItemStatus.SKIPPED, reason=reason)
            return SETTLED
        item.from_version_id, item.from_deployed_version_id = standing.version_id, standing.deployed_version_id
        if not standing.deploys(upgrade.redeploy):
            await self._move(session, instance, upgrade.version_id)
            await _settle(session, item, ItemStatus.OK)
            await _note(session, upgrade, instance, "instance.upgraded")
            return SETTLED
        item.job_id = new_id("job")
        return _deploy(upgrade, item, item.job_id, upgrade.version_id)

    async def _claim_again(self, session: AsyncSession, upgrade: UpgradeRow, item: UpgradeItemRow) -> ItemClaim:
        """Whoever claimed it first was killed, perhaps after the deploy."""
        assert item.job_id is not None, "that is how it is known"
        if not await _is_deployed(session, item.job_id):
            return _deploy(upgrade, item, item.job_id, upgrade.version_id)
        await _settle_deployed(session, upgrade, item)
        return SETTLED

    async def _claim_rollback(self, session: AsyncSession, upgrade: UpgradeRow, item: UpgradeItemRow) -> ItemClaim:
        instance = await Instances(session).get(item.instance_id, for_update=True)
        if instance is None or instance.deleting:
            return SETTLED
        if item.rollback_job_id is not None and await _is_deployed(session, item.rollback_job_id):
            await self._settle_rolled_back(session, upgrade, item, instance)
            return SETTLED
        if item.rollback_job_id is None and instance.version_id != upgrade.version_id:
            await _change(session, item, ItemStatus.OK, reason=SkipReason.MOVED_ON)
            return SETTLED
        if item.deployment_id is None:
            await self._settle_rolled_back(session, upgrade, item, instance)
            return SETTLED
        item.rollback_job_id = item.rollback_job_id or new_id("job")
        return _deploy(upgrade, item, item.rollback_job_id, item.from_deployed_version_id or item.from_version_id)

    async def _settle_rolled_back(
        self, session: AsyncSession, upgrade: UpgradeRow, item: UpgradeItemRow, instance: InstanceRow
    ) -> None:
        """Also back to a version that was chosen and not deployed yet; not past what somebody has chosen since."""
        if instance.version_id in (upgrade.version_id, item.from_deployed_version_id):
            await self._move(session, instance, item.from_version_id)
        await _change(session, item, ItemStatus.ROLLED_BACK)
        await _note(session, upgrade, instance, "instance.rolled_back")

    async def _move(self, session: AsyncSession, instance: InstanceRow, version_id: str) -> None:
        definition = await move_in_bulk(session, self._configuration, instance, version_id)
        if definition is not None and instance.deployment_id is None:
            await sync_flows(session, instance.id, definition, utcnow())


def _deploy(upgrade: UpgradeRow, item: UpgradeItemRow, job_id: str, version_id: str) -> ItemClaim:
    return ItemClaim("deploy", DeployInput(item.instance_id, job_id, upgrade.principal, version_id))


async def _standing(session: AsyncSession, instance: InstanceRow | None) -> Standing:
    """One that is gone has been deleted."""
    if instance is None:
        return Standing("", deleting=True)
    deployment = await session.get(DeploymentRow, instance.deployment_id) if instance.deployment_id else None
    deployed = deployment.version_id if deployment is not None else None
    return Standing(instance.version_id, deployed, instance.deleting, instance.suspended_at is not None)


async def _is_deployed(session: AsyncSession, job_id: str) -> bool:
    return await session.get(DeploymentRow, deployment_id_of(job_id)) is not None


async def _settle_deployed(session: AsyncSession, upgrade: UpgradeRow, item: UpgradeItemRow) -> None:
    assert item.job_id is not None, "only what was deployed is settled here"
    item.deployment_id = deployment_id_of(item.job_id)
    await _settle(session, item, ItemStatus.OK)
    instance = await Instances(session).get(item.instance_id)
    if instance is not None:
        await _note(session, upgrade, instance, "instance.upgraded")


async def _settle(session: AsyncSession, item: UpgradeItemRow, status: ItemStatus, **values: Any) -> None:
    """From pending to what has become of it; the job counts it."""
    await _change(session, item, status, **values)
    if status == ItemStatus.OK:
        item.upgraded_at = item.updated_at
    failed = JobRow.failed + int(status == ItemStatus.FAILED)
    await Jobs(session).change(item.upgrade_id, item.updated_at, done=JobRow.done + 1, failed=failed)


async def _change(session: AsyncSession, item: UpgradeItemRow, status: ItemStatus, **values: Any) -> None:
    item.status, item.updated_at = status, utcnow()
    for name, value in values.items():
        setattr(item, name, value)
    await session.flush()


def _problems(failure: Failure, code: str | None = None) -> list[dict[str, Any]]:
    found = (failure.details or {}).get("problems")
    return found or [{"pointer": "#", "code": code or failure.code, "detail": failure.message}]


async def _note(session: AsyncSession, upgrade: UpgradeRow, instance: InstanceRow, action: str) -> None:
    version = await session.get_one(VersionRow, instance.version_id)
    note(
        session,
        EventRow(
            id=new_id("evt"),
            at=utcnow(),
            principal=upgrade.principal,
            action=action,
            object_id=instance.id,
            instance_id=instance.id,
            customer_id=instance.customer_id,
            details={"upgrade_id": upgrade.id, "version": version.number},
        ),
    )
