"""How many executions of a customer run at once, whatever flows they belong to: at random, and one by one."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from activities.acceptance import Request, accept
from domain.executions import OPEN, Status, TriggerKind
from domain.queues import CUSTOMER_LIMIT
from runtime.clock import utcnow
from runtime.ids import new_id
from store.queues import QueueOf, Queues
from store.tables import CustomerRow, ExecutionRow, InstanceFlowRow
from tests.activities.kit import Kit, definition
from tests.activities.queueing import Queue, queue
from tests.factories import instance_flow, saved

LIMIT = 3
STEPS = 60


async def limited(kit: Kit, most: int | None = LIMIT, **concurrency: Any) -> Queue:
    made = await queue(kit, **concurrency)
    await made.set(CustomerRow, made.made.customer.id, max_running=most)
    return made


async def beside(made: Queue, key: str) -> Queue:
    """Another flow of the same instance, which runs in parallel."""
    flow = instance_flow(made.made.instance, key, position=1)
    await saved(made.kit.database, flow)
    return Queue(made.kit, replace(made.made, flow=flow), made.rule, made.told)


async def slots(kit: Kit) -> list[ExecutionRow]:
    rows: list[ExecutionRow] = await kit.rows(ExecutionRow)
    return [row for row in rows if row.handed_over_at and row.status in OPEN and row.status != Status.RETRYING]


async def test_a_customers_flows_share_its_limit_and_are_never_idle(kit: Kit) -> None:
    first = await limited(kit)
    queues = [first, await beside(first, "second"), await beside(first, "third")]
    random = Random("limit")
    for _ in range(STEPS):
        await random.choice([_deliver, _deliver, _end])(random.choice(queues), random)
        for each in random.sample(queues, 3):
            await each.look()
        taken = len(await slots(kit))
        waiting = [
            row for row in await kit.rows(ExecutionRow) if row.status == Status.QUEUED and not row.handed_over_at
        ]
        assert taken <= LIMIT
        assert taken == LIMIT or not waiting
    assert any(len(each.begun) > 3 for each in queues)


async def _deliver(made: Queue, _: Random) -> None:
    await made.accept()


async def _end(made: Queue, random: Random) -> None:
    for row in (await slots(made.kit))[:2]:
        await made.open(row.id)
        await made.close(row.id, random.choice([Status.SUCCEEDED, Status.FAILED, Status.RETRYING]))


async def test_a_slot_that_is_free_tells_every_queue_of_the_customer_the_longest_waiting_first(kit: Kit) -> None:
    made = await limited(kit, 1)
    others = [await beside(made, "second"), await beside(made, "third")]
    first = await made.accept()
    for each in reversed(others):
        await each.accept()
    assert await made.look() == [first.id]
    assert [await each.look() for each in others] == [[], []]
    await made.open(first.id)
    await made.close(first.id, Status.SUCCEEDED)
    assert made.told.queues == [each.made.flow.id for each in reversed(others)]


async def test_a_flows_own_limit_counts_beside_its_customers(kit: Kit) -> None:
    made = await limited(kit, 2, mode="throttled", limit=3)
    rows = [await made.accept() for _ in range(4)]
    assert await made.look() == [row.id for row in rows[:2]]
    await made.set(CustomerRow, made.made.customer.id, max_running=None)
    assert await made.look() == [rows[2].id]


async def test_what_its_caller_waits_for_runs_in_the_callers_slot(kit: Kit) -> None:
    """Else a caller would wait for one that waits for the caller."""
    made = await limited(kit, 1, mode="throttled", limit=10)
    caller = await made.accept()
    assert await made.look() == [caller.id]
    await made.accept()
    called = await made.accept(invoked_by=caller.id, is_awaited=True)
    assert await made.look() == [called.id]
    assert await made.look() == []


@pytest.mark.parametrize(
    ("limit", "given", "expected"),
    [
        (None, {}, None),
        (1, {}, CUSTOMER_LIMIT),
        (1, {"is_test": True}, None),
        (1, {"is_awaited": True}, None),
    ],
)
async def test_acceptance_says_what_an_execution_waits_for(
    kit: Kit, limit: int | None, given: dict[str, Any], expected: str | None
) -> None:
    made = (await limited(kit, limit)).made
    async with kit.database.transaction() as session:
        handover = await accept(session, kit.payloads, await _request(kit, session, made.flow, given))
    row = await kit.execution(handover.execution_id)
    assert (row.reason, row.queue_key) == (expected, "" if expected else None)
    assert handover.queued == (expected is not None)


@pytest.mark.parametrize("trigger", [TriggerKind.DEPLOY, TriggerKind.REMOVE])
async def test_deploys_and_removals_do_not_wait(kit: Kit, trigger: str) -> None:
    made = await limited(kit, 1)
    await made.set(InstanceFlowRow, made.made.flow.id, trigger=trigger)
    async with kit.database.transaction() as session:
        handover = await accept(session, kit.payloads, await _request(kit, session, made.made.flow, {}))
    assert not handover.queued


async def _request(kit: Kit, session: AsyncSession, of: InstanceFlowRow, given: dict[str, Any]) -> Request:
    found = await Queues(session).locked(of.id)
    assert found is not None
    flow, instance = found
    deployment = await kit.deployments.get(instance.deployment_id or "", session)
    customer = await session.get_one(CustomerRow, instance.customer_id)
    return Request(flow, instance, customer, deployment, **given)


async def test_a_schedules_execution_waits_in_its_workflow(kit: Kit) -> None:
    timed = definition({"trigger": {"type": "schedule", "cron": "0 3 * * *", "overlap": "allow"}})
    made = Queue(kit, await kit.made(timed), (await limited(kit)).rule)
    await made.set(CustomerRow, made.made.customer.id, max_running=1)
    running = await made.accept()
    assert await made.look() == [running.id]
    fired = new_id("exec")
    row = ExecutionRow(id=fired, instance_flow_id=made.made.flow.id, deployment_id="")
    nominal = utcnow().isoformat()
    assert not await made.open_as(row, workflow_id="schedule-1", nominal_at=nominal)
    waiting = await kit.execution(fired)
    assert (waiting.status, waiting.reason, waiting.workflow_id) == (Status.QUEUED, CUSTOMER_LIMIT, "schedule-1")
    await made.open(running.id)
    await made.close(running.id, Status.SUCCEEDED)
    [start] = await made.turn()
    assert (start.execution_id, start.parked, start.workflow_id) == (fired, True, "schedule-1")
    assert await made.open_as(row, workflow_id="schedule-1", nominal_at=nominal)


async def test_what_waits_is_counted_by_customer(kit: Kit) -> None:
    made = await limited(kit, 1)
    second = await beside(made, "second")
    rows = [await made.accept(), await made.accept(), await second.accept()]
    await made.look()
    async with kit.database.snapshot() as session:
        queues = Queues(session)
        counts = await queues.counts_of_customer(made.made.customer.id)
        assert (counts.waiting, counts.oldest_waiting_at) == (2, rows[1].queued_at)
        assert await queues.running_of_customer(made.made.customer.id) == 1
        other = await kit.made(definition({}))
        of_other = QueueOf(other.flow.id, other.instance.id, other.customer.id)
        assert await queues.that_may_go_on(of_other) == []
