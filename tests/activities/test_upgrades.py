"""What becomes of each instance of a bulk upgrade, in the ledger."""

from dataclasses import asdict
from typing import Any

import pytest
from sqlalchemy import update
from temporalio.exceptions import ApplicationError

from domain.bulk import ItemClaim, ItemOutcome, UpgradeItem, UpgradeRing, UpgradeStop
from domain.definitions.model import Definition
from domain.messages import DeployInput, Failure, JobEnd
from store.tables import (
    DeploymentRow,
    EventRow,
    InstanceFlowRow,
    InstanceRow,
    JobRow,
    UpgradeItemRow,
    UpgradeRow,
)
from tests.activities.fleet import Fleet, fleet
from tests.activities.kit import Kit, definition
from tests.factories import NOW, an_id, execution, saved, version

DEMANDING = definition({}, config=[{"key": "shop", "type": "string"}])


async def claim(kit: Kit, upgrade_id: str, position: int = 1) -> ItemClaim:
    return await kit.upgrades.claim_item(UpgradeItem(upgrade_id, position))


async def settle(kit: Kit, upgrade_id: str, failure: Failure | None = None, position: int = 1) -> None:
    await kit.upgrades.settle_item(ItemOutcome(UpgradeItem(upgrade_id, position), failure))


async def upgraded(kit: Kit, upgrade_id: str, position: int = 1) -> None:
    """As the workflow does it, the deploy between claim and settling."""
    claimed = await claim(kit, upgrade_id, position)
    assert claimed.deploy is not None
    await kit.deploys.switch_deployment(claimed.deploy)
    await settle(kit, upgrade_id, position=position)


async def rolled_back(kit: Kit, upgrade_id: str, position: int = 1) -> None:
    item = UpgradeItem(upgrade_id, position)
    claimed = await kit.upgrades.claim_rollback(item)
    if claimed.deploy is not None:
        await kit.deploys.switch_deployment(claimed.deploy)
        await kit.upgrades.settle_rollback(ItemOutcome(item))


async def change(kit: Kit, instance_id: str, **values: Any) -> None:
    async with kit.database.transaction() as session:
        await session.execute(update(InstanceRow).where(InstanceRow.id == instance_id).values(**values))


async def job_of(kit: Kit, upgrade_id: str) -> JobRow:
    async with kit.database.snapshot() as session:
        return await session.get_one(JobRow, upgrade_id)


async def version_of(ships: Fleet, at: int = 0) -> tuple[int, int]:
    """What is chosen, what is deployed."""
    instance = await ships.instance(at)
    async with ships.kit.database.snapshot() as session:
        deployed = await session.get_one(DeploymentRow, instance.deployment_id or "")
    return (2 if instance.version_id == ships.second.id else 1), deployed.version_number


async def test_item_is_moved_and_deployed_at_once(temporal_kit: Kit) -> None:
    ships = await fleet(temporal_kit)
    before = await ships.instance()
    upgrade_id = await ships.upgrade()
    await upgraded(temporal_kit, upgrade_id)
    after, item = await ships.instance(), await ships.item(upgrade_id)
    assert await version_of(ships) == (2, 2)
    assert (item.status, item.deployment_id, item.from_version_id) == ("ok", after.deployment_id, ships.first.id)
    assert (item.from_deployed_version_id, item.problems) == (ships.first.id, [])
    assert item.upgraded_at is not None
    assert (after.revision, after.needs_deploy) == (before.revision + 1, False)
    job = await job_of(temporal_kit, upgrade_id)
    assert (job.total, job.done, job.failed) == (1, 1, 0)
    events = {event.action: event.details for event in await temporal_kit.rows(EventRow)}
    assert events["instance.upgraded"] == {"upgrade_id": upgrade_id, "version": 2}
    flows = {row.key: row for row in await temporal_kit.rows(InstanceFlowRow)}
    assert (flows["hello"].id, flows["hello"].token) == (ships.flows[0].id, ships.flows[0].token)
    assert (flows["hello"].name, flows["more"].active) == ("Hello again", True)


async def test_item_repeated_at_any_point_is_deployed_once(temporal_kit: Kit) -> None:
    ships = await fleet(temporal_kit)
    upgrade_id = await ships.upgrade()
    first, again = await claim(temporal_kit, upgrade_id), await claim(temporal_kit, upgrade_id)
    assert first == again
    assert first.deploy is not None
    for _ in range(2):
        await temporal_kit.deploys.switch_deployment(first.deploy)
    assert (await claim(temporal_kit, upgrade_id)).verdict == "settled"  # killed before it could be settled
    for _ in range(2):
        await settle(temporal_kit, upgrade_id)
    assert (await claim(temporal_kit, upgrade_id)).verdict == "settled"
    assert len(await temporal_kit.rows(DeploymentRow)) == 2
    assert (await job_of(temporal_kit, upgrade_id)).done == 1
    assert [event.action for event in await temporal_kit.rows(EventRow)].count("instance.upgraded") == 1


async def test_item_whose_values_do_not_fit_stays_as_it_was(temporal_kit: Kit) -> None:
    ships = await fleet(temporal_kit, to=DEMANDING)
    upgrade_id = await ships.upgrade()
    claimed = await claim(temporal_kit, upgrade_id)
    assert claimed.deploy is not None
    before = await ships.instance()
    with pytest.raises(ApplicationError) as caught:
        await temporal_kit.deploys.switch_deployment(claimed.deploy)
    await settle(temporal_kit, upgrade_id, Failure(**caught.value.details[0]))
    after, item = await ships.instance(), await ships.item(upgrade_id)
    assert (after.version_id, after.deployment_id, after.revision) == (
        ships.first.id,
        before.deployment_id,
        before.revision,
    )
    assert (item.status, [problem["pointer"] for problem in item.problems]) == ("failed", ["#/config/shop"])
    assert (await job_of(temporal_kit, upgrade_id)).failed == 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [({"deleting": True}, "deleting"), ({"suspended_at": NOW}, "suspended")],
)
async def test_item_that_must_not_be_touched_is_skipped(kit: Kit, values: dict[str, Any], reason: str) -> None:
    ships = await fleet(kit)
    upgrade_id = await ships.upgrade()
    await change(kit, ships.instances[0].id, **values)
    assert (await claim(kit, upgrade_id)).verdict == "settled"
    item = await ships.item(upgrade_id)
    assert (item.status, item.reason, (await job_of(kit, upgrade_id)).done) == ("skipped", reason, 1)


async def test_item_that_is_there_already_is_skipped(temporal_kit: Kit) -> None:
    ships = await fleet(temporal_kit)
    upgrade_id = await ships.upgrade()
    await temporal_kit.deploys.switch_deployment(
        DeployInput(ships.instances[0].id, an_id("job"), "somebody", ships.second.id)
    )
    assert (await claim(temporal_kit, upgrade_id)).verdict == "settled"
    item = await ships.item(upgrade_id)
    assert (item.status, item.reason) == ("skipped", "already_there")


async def test_item_of_an_instance_that_is_gone_is_settled(kit: Kit) -> None:
    ships = await fleet(kit, deployed=False)
    upgrade_id = await ships.upgrade()
    async with kit.database.transaction() as session:
        await session.execute(update(UpgradeItemRow).values(instance_id="inst_gone"))
    assert (await claim(kit, upgrade_id)).verdict == "settled"
    assert (await ships.item(upgrade_id)).reason == "deleting"


async def test_deploy_that_met_a_delete_is_no_failure(kit: Kit) -> None:
    ships = await fleet(kit)
    upgrade_id = await ships.upgrade()
    await claim(kit, upgrade_id)
    await settle(kit, upgrade_id, Failure("state_conflict", "The instance is being deleted"))
    item = await ships.item(upgrade_id)
    assert (item.status, item.reason) == ("skipped", "deleting")


@pytest.mark.parametrize("to", [definition({"name": "Hello again"}), DEMANDING])
async def test_undeployed_instance_is_moved_only(kit: Kit, to: Definition) -> None:
    ships = await fleet(kit, to=to, deployed=False)
    upgrade_id = await ships.upgrade()
    assert (await claim(kit, upgrade_id)).verdict == "settled"
    after, item = await ships.instance(), await ships.item(upgrade_id)
    assert (after.version_id, after.deployment_id, after.configured) == (ships.second.id, None, to is not DEMANDING)
    assert (item.status, item.job_id, item.deployment_id) == ("ok", None, None)
    [flow] = await kit.rows(InstanceFlowRow)
    assert flow.name == to.flows[0].title


async def test_without_redeploy_nothing_runs_differently(kit: Kit) -> None:
    ships = await fleet(kit)
    upgrade_id = await ships.upgrade(redeploy=False)
    assert (await claim(kit, upgrade_id)).verdict == "settled"
    after = await ships.instance()
    assert (await version_of(ships), after.needs_deploy) == ((2, 1), True)
    [flow] = await kit.rows(InstanceFlowRow)
    assert flow.name == "Hello"


@pytest.mark.parametrize("what", ["pause", "abort"])
async def test_nothing_is_claimed_that_people_do_not_want(kit: Kit, what: str) -> None:
    ships = await fleet(kit)
    upgrade_id = await ships.upgrade()
    await ships.wish(upgrade_id, what)
    assert (await claim(kit, upgrade_id)).verdict == "wait"
    assert await kit.upgrades.ask_upgrade(upgrade_id) == what
    assert (await ships.item(upgrade_id)).status == "pending"
    await ships.wish(upgrade_id, "run")
    assert (await claim(kit, upgrade_id)).verdict == "deploy"


async def test_plan_is_what_was_asked_for(kit: Kit) -> None:
    ships = await fleet(kit, 3)
    upgrade_id = await ships.upgrade([1, 3], rate_per_second=2.0, stop_at_failure_percent=10.0, watch_seconds=60.0)
    plan = await kit.upgrades.begin_upgrade(upgrade_id)
    assert asdict(plan) == {
        "proceed": True,
        "ring_ends": [1, 3],
        "rings_passed": 0,
        "rate_per_second": 2.0,
        "stop_at_failure_percent": 10.0,
        "min_executions": 1,
        "watch_seconds": 60.0,
        "stopped": None,
    }
    await kit.upgrades.pass_ring(UpgradeRing(upgrade_id, 1))
    assert (await kit.upgrades.begin_upgrade(upgrade_id)).rings_passed == 1
    assert (await job_of(kit, upgrade_id)).stage == "upgrading"


@pytest.mark.parametrize("gone", [True, False])
async def test_ended_or_absent_upgrade_does_not_proceed(kit: Kit, gone: bool) -> None:
    ships = await fleet(kit)
    upgrade_id = await ships.upgrade()
    await kit.upgrades.end_upgrade(JobEnd(upgrade_id, "aborted"))
    assert not (await kit.upgrades.begin_upgrade("upg_gone" if gone else upgrade_id)).proceed


async def test_watch_counts_what_the_new_version_does(temporal_kit: Kit) -> None:
    kit = temporal_kit
    ships = await fleet(kit, 2)
    upgrade_id = await ships.upgrade()
    assert (await kit.upgrades.watch_upgrade(upgrade_id)).running == 0
    await upgraded(kit, upgrade_id)
    await executed(ships, 0, "succeeded", "failed", "failed", "running", "canceled", "retrying")
    await executed(ships, 0, "failed", is_test=True)
    await executed(ships, 0, "failed", version_id=ships.first.id)
    await executed(ships, 1, "failed")  # not upgraded
    await executed(ships, 0, "failed", id="exec_" + "0" * 26)  # before the upgrade
    sight = await kit.upgrades.watch_upgrade(upgrade_id)
    assert (sight.wish, sight.running, sight.ended, sight.failed) == ("run", 1, 3, 2)
    async with kit.database.snapshot() as session:
        assert (await session.get_one(UpgradeRow, upgrade_id)).observed == {"ended": 3, "failed": 2}
    assert (await job_of(kit, upgrade_id)).stage == "watching"


async def executed(ships: Fleet, at: int, *statuses: str, **given: Any) -> None:
    """Later than the upgrade, on the new version, unless told otherwise."""
    instance, flow = await ships.instance(at), ships.flows[at]
    for status in statuses:
        usual = {"id": an_id("exec_7"), "status": status, "version_id": ships.second.id}
        await saved(ships.kit.database, execution(instance, flow, **usual | given))


async def test_stopped_upgrade_leaves_the_rest_and_is_rolled_back(temporal_kit: Kit) -> None:
    kit = temporal_kit
    ships = await fleet(kit, 2)
    upgrade_id = await ships.upgrade()
    await upgraded(kit, upgrade_id)
    failure = Failure("failure_rate_exceeded", "2 of 3 executions failed")
    for _ in range(2):
        await kit.upgrades.stop_upgrade(UpgradeStop(upgrade_id, failure))
    assert (await kit.upgrades.begin_upgrade(upgrade_id)).stopped == failure
    assert await ships.statuses(upgrade_id) == {"ok": 1, "skipped": 1}
    for position in (1, 2):
        await rolled_back(kit, upgrade_id, position)
    assert await version_of(ships) == (1, 1)
    assert await ships.statuses(upgrade_id) == {"rolled_back": 1, "skipped": 1}
    assert (await ships.item(upgrade_id, 2)).reason == "stopped"
    await kit.upgrades.end_upgrade(JobEnd(upgrade_id, "failed", failure, stage="rolled_back"))
    job = await job_of(kit, upgrade_id)
    assert (job.state, job.stage, job.done, job.error) == ("failed", "rolled_back", 2, asdict(failure))
    actions = [event.action for event in await kit.rows(EventRow)]
    assert actions.count("instance.rolled_back") == 1


async def test_rollback_repeated_at_any_point_is_deployed_once(temporal_kit: Kit) -> None:
    kit = temporal_kit
    ships = await fleet(kit)
    upgrade_id = await ships.upgrade()
    await upgraded(kit, upgrade_id)
    item = UpgradeItem(upgrade_id, 1)
    first, again = await kit.upgrades.claim_rollback(item), await kit.upgrades.claim_rollback(item)
    assert first == again
    assert first.deploy is not None
    await kit.deploys.switch_deployment(first.deploy)
    assert (await kit.upgrades.claim_rollback(item)).verdict == "settled"
    await kit.upgrades.settle_rollback(ItemOutcome(item))
    assert len(await kit.rows(DeploymentRow)) == 3
    assert (await version_of(ships), (await ships.item(upgrade_id)).status) == ((1, 1), "rolled_back")


async def test_rollback_gives_the_chosen_version_back_too(temporal_kit: Kit) -> None:
    """It was on its way to yet another one, not deployed yet."""
    kit = temporal_kit
    ships = await fleet(kit)
    other = version(ships.integration, 3)
    await saved(kit.database, other)
    await change(kit, ships.instances[0].id, version_id=other.id, needs_deploy=True)
    upgrade_id = await ships.upgrade()
    await upgraded(kit, upgrade_id)
    await rolled_back(kit, upgrade_id)
    after = await ships.instance()
    assert (after.version_id, after.needs_deploy, (await version_of(ships))[1]) == (other.id, True, 1)


async def test_rollback_leaves_what_somebody_moved_on(temporal_kit: Kit) -> None:
    kit = temporal_kit
    ships = await fleet(kit)
    upgrade_id = await ships.upgrade()
    await upgraded(kit, upgrade_id)
    await change(kit, ships.instances[0].id, version_id=ships.first.id)
    await rolled_back(kit, upgrade_id)
    item = await ships.item(upgrade_id)
    assert (item.status, item.reason, await version_of(ships)) == ("ok", "moved_on", (1, 2))


async def test_rollback_of_what_was_moved_only(kit: Kit) -> None:
    ships = await fleet(kit, deployed=False)
    upgrade_id = await ships.upgrade()
    await claim(kit, upgrade_id)
    assert (await kit.upgrades.claim_rollback(UpgradeItem(upgrade_id, 1))).verdict == "settled"
    assert (await ships.instance()).version_id == ships.first.id
    assert (await ships.item(upgrade_id)).status == "rolled_back"


async def test_rollback_that_fails_is_told(temporal_kit: Kit) -> None:
    kit = temporal_kit
    ships = await fleet(kit)
    upgrade_id = await ships.upgrade()
    await upgraded(kit, upgrade_id)
    item = UpgradeItem(upgrade_id, 1)
    await kit.upgrades.claim_rollback(item)
    await kit.upgrades.settle_rollback(ItemOutcome(item, Failure("interrupted", "terminated")))
    row = await ships.item(upgrade_id)
    assert (row.status, row.problems) == (
        "failed",
        [{"pointer": "#", "code": "rollback_failed", "detail": "terminated"}],
    )


async def test_end_skips_what_is_left_and_stays(kit: Kit) -> None:
    ships = await fleet(kit, 2, deployed=False)
    upgrade_id = await ships.upgrade()
    await claim(kit, upgrade_id)
    for state in ("aborted", "succeeded"):
        await kit.upgrades.end_upgrade(JobEnd(upgrade_id, state))
    job = await job_of(kit, upgrade_id)
    assert (job.state, job.stage, job.done) == ("aborted", None, 2)
    assert job.result == {"pending": 0, "ok": 1, "failed": 0, "skipped": 1, "rolled_back": 0}
    assert (await ships.item(upgrade_id, 2)).reason == "aborted"
