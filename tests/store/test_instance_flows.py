from datetime import timedelta

from store.engine import Database
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.tables import FlowApiKeyRow, InstanceFlowRow
from tests.factories import NOW, an_id, deployed, execution, instance_flow, save


async def test_keys_that_people_know_a_flow_by(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        assert await InstanceFlows(session).keys_of(made.flow.id) == (made.integration.key, "hello")


async def test_flows_in_definition_order(database: Database) -> None:
    async with database.transaction() as session:
        made, other = await deployed(session), await deployed(session)
        third = instance_flow(made.instance, "third", 2)
        second = instance_flow(made.instance, "second", 1)
        gone = instance_flow(made.instance, "gone", 3, active=False)
        await save(session, third, second, gone)
        flows = InstanceFlows(session)
        assert await flows.of_instance(made.instance.id) == [made.flow, second, third]
        assert await flows.of_instance(made.instance.id, active_only=False) == [made.flow, second, third, gone]
        by_instance = await flows.of_instances([other.instance.id, "inst_absent"])
        assert by_instance == {other.instance.id: [other.flow], "inst_absent": []}


async def test_dirty_schedules_are_bounded(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        dirty = [instance_flow(made.instance, f"dirty{n}", n, schedule_dirty=True) for n in range(3)]
        await save(session, *dirty)
        assert await InstanceFlows(session).dirty_schedules(2) == dirty[:2]


async def test_synced_schedule_stays_dirty_when_it_changed_meanwhile(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        as_applied = instance_flow(made.instance, "a", schedule={"cron": "0 3 * * *"}, schedule_dirty=True)
        changed = instance_flow(made.instance, "b", schedule={"cron": "0 4 * * *"}, schedule_dirty=True)
        removed = instance_flow(made.instance, "c", schedule=None, schedule_dirty=True)
        await save(session, as_applied, changed, removed)
        flows = InstanceFlows(session)
        applied = {"cron": "0 3 * * *"}
        await flows.schedules_synced([(as_applied.id, applied), (changed.id, applied), (removed.id, None)])
        assert await flows.dirty_schedules(10) == [changed]


async def test_ended_execution_marks_its_flow(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        ended = execution(made.instance, made.flow)
        await InstanceFlows(session).note_ended(ended, failed=True, at=NOW + timedelta(hours=1))
        ids = made.flow.id, made.instance.id
    async with database.snapshot() as session:
        flow = await session.get_one(InstanceFlowRow, ids[0])
        view = await Instances(session).view(ids[1])
    assert view is not None
    assert (flow.failed, flow.last_execution_id) == (True, ended.id)
    assert view.last_execution_at == NOW + timedelta(hours=1)


async def test_ended_test_leaves_the_failed_state(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        flows = InstanceFlows(session)
        await flows.note_ended(execution(made.instance, made.flow), failed=True, at=NOW)
        await flows.note_ended(tried := execution(made.instance, made.flow, is_test=True), failed=False, at=NOW)
    async with database.snapshot() as session:
        flow = await session.get_one(InstanceFlowRow, made.flow.id)
    assert (flow.failed, flow.last_execution_id) == (True, tried.id)


async def test_api_keys_of_one_flow(database: Database) -> None:
    async with database.transaction() as session:
        made, other = await deployed(session), await deployed(session)
        rows = [
            FlowApiKeyRow(id=an_id("key"), instance_flow_id=flow.id, hash="h", created_at=NOW)
            for flow in (made.flow, other.flow)
        ]
        flows = InstanceFlows(session)
        for row in rows:
            flows.add_api_key(row)
        assert await flows.api_keys(made.flow.id) == [rows[0]]
        assert not await flows.delete_api_key(made.flow.id, rows[1].id)
        assert await flows.delete_api_key(made.flow.id, rows[0].id)
        assert await flows.api_keys(made.flow.id) == []


async def test_tombstones_keep_their_first_date_until_purged(database: Database) -> None:
    async with database.transaction() as session:
        flows = InstanceFlows(session)
        await flows.add_tombstones([], NOW)
        await flows.add_tombstones(["a", "b"], NOW)
        await flows.add_tombstones(["b", "c"], NOW + timedelta(days=1))
        tombstone = await flows.tombstone("b")
        assert tombstone is not None
        assert tombstone.deleted_at == NOW
        assert await flows.purge_tombstones(NOW + timedelta(hours=1)) == 2
        assert await flows.tombstone("c") is not None
