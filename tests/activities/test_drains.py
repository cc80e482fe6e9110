from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.handover import handover_of
from activities.holding import ensure_accepting
from domain.errors import Conflict
from domain.executions import Status
from domain.messages import DRAIN_WORKFLOW, DrainInput
from store.executions import Executions
from store.instances import Instances
from store.tables import ExecutionRow, InstanceRow, JobRow
from tests.activities.kit import Kit, definition, working
from tests.factories import Deployed, instance_flow, job, saved
from tests.fixtures.temporal import eventually

HELD = {"held": 0, "reason": "held"}


async def changed(kit: Kit, made: Deployed, **values: Any) -> InstanceRow:
    async with kit.database.transaction() as session:
        row = await session.get_one(InstanceRow, made.instance.id)
        for name, value in values.items():
            setattr(row, name, value)
    return row


async def draining(kit: Kit, made: Deployed, rate: float = 100.0, keep: str = "all") -> DrainInput:
    """As an unpause leaves it."""
    row = job(kind="drain", object_id=made.instance.id)
    await saved(kit.database, row)
    await changed(kit, made, enabled=True, drain_job_id=row.id, hold_number=1)
    return DrainInput(made.instance.id, row.id, "bootstrap", rate, keep, up_to=0)


async def held(kit: Kit, made: Deployed, count: int, **given: Any) -> list[ExecutionRow]:
    return [await kit.accepted(made, **HELD | given) for _ in range(count)]


async def over(kit: Kit, message: DrainInput) -> bool:
    return bool((await kit.environment.run(kit.drains.release_held, message)).over)


async def statuses(kit: Kit) -> list[tuple[str, str | None, int | None]]:
    rows = sorted(await kit.rows(ExecutionRow), key=lambda row: str(row.id))
    return [(row.status, row.reason, row.held) for row in rows]


async def the_job(kit: Kit) -> JobRow:
    [row] = await kit.rows(JobRow)
    assert isinstance(row, JobRow)
    return row


async def started(kit: Kit, row: ExecutionRow) -> bool:
    try:
        described = await kit.temporal.get_workflow_handle(row.id).describe()
    except RPCError:
        return False
    return described.status == WorkflowExecutionStatus.RUNNING


async def test_held_ones_start_in_their_order_as_many_as_go_together(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}))
    rows = await held(temporal_kit, made, 3)
    message = await draining(temporal_kit, made, rate=2.0)
    assert not await over(temporal_kit, message)
    assert [await started(temporal_kit, row) for row in rows] == [True, True, False]
    assert await statuses(temporal_kit) == [("queued", None, None)] * 2 + [("queued", "held", 0)]
    first = await temporal_kit.execution(rows[0].id)
    assert first.handed_over_at is not None
    assert first.check_after is not None
    assert (await the_job(temporal_kit)).done == 2

    assert await over(temporal_kit, message)
    row = await the_job(temporal_kit)
    assert (row.state, row.stage, row.done, row.total, row.result) == ("succeeded", "done", 3, 3, {"released": 3})
    assert (await changed(temporal_kit, made)).drain_job_id is None
    assert await over(temporal_kit, message)


async def test_one_that_was_killed_between_start_and_record_is_one(temporal_kit: Kit) -> None:
    """Temporal knows it already, the ledger still holds it."""
    made = await temporal_kit.made(definition({}))
    [row] = await held(temporal_kit, made, 1)
    message = await draining(temporal_kit, made)
    async with temporal_kit.database.snapshot() as session:
        view = await Executions(session).view(row.id)
    assert view is not None
    await temporal_kit.starter.start(handover_of(view))
    assert await over(temporal_kit, message)
    assert await statuses(temporal_kit) == [("queued", None, None)]
    assert (await the_job(temporal_kit)).result == {"released": 1}


async def test_one_that_cannot_be_started_holds_up_no_others(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}))
    [broken] = await held(temporal_kit, made, 1, retry={"unheard_of": 1})
    [good] = await held(temporal_kit, made, 1)
    assert await over(temporal_kit, await draining(temporal_kit, made))
    assert await started(temporal_kit, good)
    row = await temporal_kit.execution(broken.id)
    assert (row.held, row.handed_over_at) == (None, None)  # upkeep's from now on


@pytest.mark.parametrize("taken", [{"drain_job_id": None}, {"suspended_at": True}, {"deleting": True}])
async def test_turn_that_was_taken_away_starts_nothing(temporal_kit: Kit, taken: dict[str, Any]) -> None:
    made = await temporal_kit.made(definition({}))
    [row] = await held(temporal_kit, made, 1)
    message = await draining(temporal_kit, made)
    now = (await temporal_kit.execution(row.id)).queued_at
    await changed(
        temporal_kit, made, **{name: now if name == "suspended_at" else value for name, value in taken.items()}
    )
    assert await over(temporal_kit, message)
    await temporal_kit.environment.run(temporal_kit.drains.sift_held, message)
    assert await statuses(temporal_kit) == [("queued", "held", 0)]
    assert (await the_job(temporal_kit)).state == "running"  # it is ended by who takes the turn


async def test_what_comes_in_behind_a_drain_is_drained_too(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}))
    await held(temporal_kit, made, 1)
    message = await draining(temporal_kit, made, rate=1.0)
    assert not await over(temporal_kit, message)
    [late] = await held(temporal_kit, made, 1, held=1)
    assert not await over(temporal_kit, message)
    assert await started(temporal_kit, late)
    assert await over(temporal_kit, message)


async def test_nothing_is_kept(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}))
    await held(temporal_kit, made, 2)
    await held(temporal_kit, made, 1, held=1)  # behind the drain
    await kit_running(temporal_kit, made)
    message = await draining(temporal_kit, made, keep="none")
    for _ in range(2):
        await temporal_kit.environment.run(temporal_kit.drains.sift_held, message)
    gone, behind = ("skipped", "discarded", None), ("queued", "held", 1)
    assert await statuses(temporal_kit) == [gone, gone, behind, ("running", None, None)]
    row = await the_job(temporal_kit)
    assert (row.result, row.done) == ({"discarded": 2}, 2)
    assert [each.ended_at is not None for each in await temporal_kit.rows(ExecutionRow)].count(True) == 2


async def kit_running(kit: Kit, made: Deployed) -> ExecutionRow:
    return await kit.accepted(made, status=Status.RUNNING)


async def test_latest_of_each_flow_is_kept(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}, {"key": "other"}))
    other = instance_flow(made.instance, "other")
    await saved(temporal_kit.database, other)
    ids = [
        *(row.id for row in await held(temporal_kit, made, 2)),
        *(row.id for row in await held(temporal_kit, made, 2, instance_flow_id=other.id)),
    ]
    await temporal_kit.environment.run(temporal_kit.drains.sift_held, await draining(temporal_kit, made, keep="latest"))
    left = {row.id for row in await temporal_kit.rows(ExecutionRow) if row.held is not None}
    assert left == {ids[1], ids[3]}


@pytest.mark.parametrize("column", ["unique_key", "queue_key"])
async def test_latest_of_each_key_is_kept(temporal_kit: Kit, column: str) -> None:
    made = await temporal_kit.made(definition({}))
    rows = [(await held(temporal_kit, made, 1, **{column: key}))[0] for key in ("a", "b", "a", "c", "b")]
    message = await draining(temporal_kit, made, keep="latest")
    for _ in range(2):  # as after a kill
        await temporal_kit.environment.run(temporal_kit.drains.sift_held, message)
    left = [row.id for row in rows if (await temporal_kit.execution(row.id)).held is not None]
    assert left == [rows[2].id, rows[3].id, rows[4].id]
    assert (await the_job(temporal_kit)).result == {"discarded": 2}


async def test_one_of_a_queued_flow_goes_into_its_queue(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({"concurrency": {"mode": "sequential"}}))
    await held(temporal_kit, made, 1, queue_key="")
    assert await over(temporal_kit, await draining(temporal_kit, made))
    [row] = await temporal_kit.rows(ExecutionRow)
    assert (row.status, row.reason, row.held, row.handed_over_at) == ("queued", "queued_behind", None, None)


async def test_drain_runs_all_that_was_held(temporal_kit: Kit) -> None:
    made = await temporal_kit.made(definition({}))
    rows = await held(temporal_kit, made, 5)
    message = await draining(temporal_kit, made, rate=20.0)

    async def ended() -> bool:
        return [status for status, _, _ in await statuses(temporal_kit)] == [Status.SUCCEEDED] * 5

    async with working(temporal_kit):
        await temporal_kit.temporal.execute_workflow(
            DRAIN_WORKFLOW, message, id=message.job_id, task_queue=temporal_kit.task_queue
        )
        await eventually(ended)
    begun = [(await temporal_kit.execution(row.id)).started_at for row in rows]
    assert (await the_job(temporal_kit)).state == "succeeded"
    assert None not in begun


@pytest.mark.parametrize(
    ("state", "holds"),
    [
        ({}, False),
        ({"enabled": False, "pause_mode": "hold"}, True),
        ({"drain_job_id": "job_1"}, True),
    ],
)
async def test_delivery_is_held(kit: Kit, state: dict[str, Any], holds: bool) -> None:
    made = await kit.made(definition({}), **state)
    async with kit.database.transaction() as session:
        instance = await session.get_one(InstanceRow, made.instance.id)
        assert await ensure_accepting(session, instance) is holds


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"enabled": False}, "instance_paused"),
        ({"enabled": False, "pause_mode": "drop"}, "instance_paused"),
        ({"enabled": False, "pause_mode": "hold", "suspended_at": True}, "instance_suspended"),
        ({"suspended_at": True}, "instance_suspended"),
    ],
)
async def test_delivery_is_refused(kit: Kit, state: dict[str, Any], code: str) -> None:
    made = await kit.made(definition({}))
    now = made.instance.created_at
    await changed(kit, made, **{name: now if name == "suspended_at" else value for name, value in state.items()})
    with pytest.raises(Conflict) as caught:
        async with kit.database.transaction() as session:
            await ensure_accepting(session, await session.get_one(InstanceRow, made.instance.id))
    assert caught.value.code == code


async def test_delivery_looks_again_once_it_holds_the_instance(kit: Kit) -> None:
    """What it has read before may be over: a pause that ended, a drain that has caught up."""
    made = await kit.made(definition({}), enabled=False, pause_mode="hold")
    async with kit.database.snapshot() as session:
        stale = await Instances(session).get(made.instance.id)
    assert stale is not None
    await changed(kit, made, enabled=True, pause_mode=None)
    async with kit.database.transaction() as session:
        instance = await session.merge(stale, load=False)
        assert not instance.enabled
        assert not await ensure_accepting(session, instance)
