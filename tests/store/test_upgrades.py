from typing import Any

from domain.executions import Status
from domain.upgrades import FailureRate, ItemStatus, Standing, Wish
from store.engine import Database
from store.paging import Page
from store.tables import IntegrationRow, JobRow, UpgradeRow, VersionRow
from store.upgrades import Candidate, Upgrades
from tests.factories import NOW, an_id, deployed, execution, instance, integration, job, save, saved, version


def upgrade_to(chosen: VersionRow, asked: JobRow) -> UpgradeRow:
    return UpgradeRow(
        id=asked.id,
        integration_id=chosen.integration_id,
        version_id=chosen.id,
        principal="bootstrap",
        redeploy=True,
        rings=[],
        ring_ends=[],
        min_executions=1,
        watch_seconds=0.0,
        wish=Wish.RUN,
        created_at=NOW,
        updated_at=NOW,
    )


def item(upgrade_id: str, position: int, chosen: VersionRow, **given: Any) -> dict[str, Any]:
    usual = {
        "upgrade_id": upgrade_id,
        "position": position,
        "instance_id": f"inst_{position}",
        "ring": 1,
        "status": ItemStatus.PENDING,
        "problems": [],
        "from_version_id": chosen.id,
        "updated_at": NOW,
    }
    return usual | given


async def asked(database: Database, size: int) -> tuple[str, IntegrationRow]:
    """An upgrade of instances that need not be there."""
    offered = integration()
    chosen, upgrading = version(offered), job(id=an_id("upg"), kind="upgrade")
    await saved(database, offered, chosen, upgrading)
    items = [item(upgrading.id, position, chosen) for position in range(1, size + 1)]
    async with database.transaction() as session:
        await Upgrades(session).add(upgrade_to(chosen, upgrading), items)
    return upgrading.id, offered


async def test_candidates_say_where_they_stand(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        other = version(made.integration, 2)
        waiting = instance(made.customer, other)
        leaving = instance(made.customer, other, deleting=True, suspended_at=NOW)
        await save(session, other, waiting, leaving)
        await deployed(session)  # of another integration
    async with database.snapshot() as session:
        found = await Upgrades(session).candidates(made.integration.id)
        named = await Upgrades(session).candidates(made.integration.id, [waiting.id, "inst_gone"])
    assert found == [
        Candidate(made.instance.id, 1, Standing(made.version.id, made.version.id)),
        Candidate(waiting.id, 2, Standing(other.id)),
        Candidate(leaving.id, 2, Standing(other.id, None, True, True)),
    ]
    assert named == found[1:2]


async def test_many_items_are_frozen_and_paged_by_position(database: Database) -> None:
    upgrade_id, _ = await asked(database, 1201)
    async with database.transaction() as session:
        upgrades = Upgrades(session)
        first = await upgrades.items(upgrade_id, [], Page(2))
        later = await upgrades.items(upgrade_id, [], Page(2, "1199"))
        assert [view.row.position for view in first] == [1, 2, 3]  # one more than asked
        assert [(view.row.position, view.from_number) for view in later] == [(1200, 1), (1201, 1)]
        await upgrades.skip_pending(upgrade_id, "aborted", NOW)
        assert await upgrades.items(upgrade_id, [ItemStatus.PENDING], Page(2)) == []
        assert (await upgrades.counts(upgrade_id))["skipped"] == 1201


async def test_upgrade_under_way_is_the_one_that_has_not_ended(database: Database) -> None:
    upgrade_id, offered = await asked(database, 1)
    async with database.transaction() as session:
        assert await Upgrades(session).under_way(offered.id) == upgrade_id
        (await session.get_one(JobRow, upgrade_id)).state = "aborted"
        await session.flush()
        assert await Upgrades(session).under_way(offered.id) is None
        assert await Upgrades(session).under_way("intg_gone") is None


async def test_failure_rate_is_of_the_new_version_at_upgraded_instances(database: Database) -> None:
    async with database.transaction() as session:
        made, spared = await deployed(session), await deployed(session)
        asking = job(id=an_id("upg"), kind="upgrade")
        await save(session, asking)
        row = upgrade_to(made.version, asking)
        done = {"status": ItemStatus.OK, "deployment_id": "dep_1"}
        items = [
            item(row.id, 1, made.version, instance_id=made.instance.id, **done),
            item(row.id, 2, made.version, instance_id=spared.instance.id),
        ]
        await Upgrades(session).add(row, items)
        for of, status in ((made, Status.FAILED), (made, Status.SUCCEEDED), (made, Status.RUNNING), (spared, "failed")):
            given = {"id": an_id("exec_7"), "status": status, "version_id": made.version.id}
            await save(session, execution(of.instance, of.flow, **given))
        assert await Upgrades(session).failure_rate(row) == FailureRate(ended=2, failed=1)
        assert await Upgrades(session).count_deployed(row.id) == 1


async def test_absent_upgrade_is_none(database: Database) -> None:
    async with database.transaction() as session:
        assert await Upgrades(session).view("upg_gone", for_update=True) is None
        assert await Upgrades(session).get("upg_gone") is None
        assert await Upgrades(session).item("upg_gone", 1) is None
