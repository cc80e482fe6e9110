from datetime import timedelta

from temporalio.service import RPCError

from activities.recurring import RECURRING, Recurring, ensure_recurring
from domain.messages import RECONCILE_WORKFLOW, RETENTION_WORKFLOW, USAGE_WORKFLOW
from runtime.clock import utcnow
from runtime.ids import new_id
from store.tables import ExecutionRow, SweepRow
from tests.activities.kit import Kit, definition, working
from tests.activities.test_retention import DAY
from tests.store.test_retention import accepted


async def test_schedule_is_made_once(temporal_kit: Kit) -> None:
    kit = temporal_kit
    sweep = Recurring(RETENTION_WORKFLOW, new_id("sweep"), timedelta(hours=1))
    assert await sweep.ensure(kit.temporal, kit.task_queue)
    assert not await sweep.ensure(kit.temporal, kit.task_queue)
    await kit.temporal.get_schedule_handle(sweep.schedule_id).delete()


async def test_all_of_them_are_there(temporal_kit: Kit) -> None:
    kit = temporal_kit
    await ensure_recurring(kit.temporal, kit.task_queue)
    for each in RECURRING:
        handle = kit.temporal.get_schedule_handle(each.schedule_id)
        described = await handle.describe()
        assert described.schedule.spec.intervals[0].every == each.every
        try:
            await handle.delete()
        except RPCError:
            continue  # another test of this server has done so


async def test_worker_carries_all_of_them_out(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made = await kit.made(definition({}))
    async with kit.database.transaction() as session:
        await accepted(session, made, utcnow() - 20 * DAY)
        young = await accepted(session, made, utcnow())
    async with working(kit):
        for workflow in (RETENTION_WORKFLOW, USAGE_WORKFLOW, RECONCILE_WORKFLOW):
            await kit.temporal.execute_workflow(workflow, id=new_id("job"), task_queue=kit.task_queue)
    assert [row.id for row in await kit.rows(ExecutionRow)] == [young.id]
    assert {row.name: row.report for row in await kit.rows(SweepRow)} == {
        "retention": {"removed": {"executions": 1, "logs": 1}},
        "conservation": {"imbalance": 0},
        "reconcile": {"looked_at": 0, "differences": {}, "failed": 0},
    }
