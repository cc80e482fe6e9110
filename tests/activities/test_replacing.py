"""Executions whose retry was changed: the ledger is ahead, and Temporal follows however often it is told."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.handover import Starter, anew, handover_of
from activities.recovery import execution_id_of
from activities.replacing import Replacer, input_of
from domain.executions import RetryRule, Status, scheduled_execution_id
from domain.messages import Failure
from runtime.clock import utcnow
from runtime.temporal import SCHEDULED_AT, SCHEDULED_BY
from store.executions import Executions, ExecutionView
from store.tables import ExecutionRow, InstanceFlowRow
from tests.activities.kit import PUBLIC_URL, Kit, close_input, definition, open_input, working
from tests.activities.test_upkeep import sweep
from tests.factories import NOW
from tests.fixtures.temporal import eventually

RULE = RetryRule(3, 600.0)


async def waiting(kit: Kit, **given: Any) -> ExecutionRow:
    defaults = {"status": Status.RETRYING, "attempt": 1, "max_attempts": 3, "retry": asdict(RULE)}
    defaults |= {"handed_over_at": utcnow(), "next_attempt_at": utcnow() + timedelta(hours=1)}
    defaults |= {"check_after": utcnow() - timedelta(seconds=1)}
    return await kit.accepted(await kit.made(definition({})), **defaults | given)


async def view_of(kit: Kit, row: ExecutionRow) -> ExecutionView:
    async with kit.database.snapshot() as session:
        view = await Executions(session).view(row.id)
    assert view is not None
    return view


async def changed(kit: Kit, row: ExecutionRow, **values: Any) -> ExecutionView:
    """As the API leaves it: with the next edition of its retry, due for a look."""
    async with kit.database.transaction() as session:
        found = await session.get_one(ExecutionRow, row.id)
        rule = RetryRule(**found.retry).changed(found.attempt, values.pop("retries_left", None))
        found.retry, found.max_attempts = asdict(rule), rule.max_attempts
        found.check_after = utcnow() - timedelta(seconds=1)
        for name, value in values.items():
            setattr(found, name, value)
    return await view_of(kit, row)


async def standing(kit: Kit, workflow_id: str) -> tuple[WorkflowExecutionStatus | None, int, timedelta]:
    """Of its latest run: how it is, with which edition it was begun, and when its next attempt is."""
    described = await kit.temporal.get_workflow_handle(workflow_id).describe()
    given = await input_of(kit.temporal, described)
    assert described.execution_time is not None
    return described.status, given.retry.edition, described.execution_time - utcnow()


def replacer(kit: Kit) -> Replacer:
    return Replacer(kit.temporal, kit.starter)


async def test_what_waits_is_begun_anew_where_it_was(temporal_kit: Kit) -> None:
    row = await waiting(temporal_kit)
    await temporal_kit.starter.start(handover_of(await view_of(temporal_kit, row)))
    later = utcnow() + timedelta(minutes=30)
    view = await changed(temporal_kit, row, next_attempt_at=later, retries_left=5)
    assert await replacer(temporal_kit).replace(anew(view))
    assert not await replacer(temporal_kit).replace(anew(view))
    status, edition, until = await standing(temporal_kit, row.id)
    assert (status, edition) == (WorkflowExecutionStatus.RUNNING, 1)
    assert timedelta(minutes=29) < until <= timedelta(minutes=30)
    handle = temporal_kit.temporal.get_workflow_handle(row.id)
    first = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    assert first.retry_policy.maximum_attempts == 6
    assert (await input_of(temporal_kit.temporal, await handle.describe())).base_attempt == 1
    await handle.terminate()


@pytest.mark.parametrize("left", ["nothing", "the_old_one", "the_old_one_ended"])
async def test_upkeep_goes_on_wherever_the_api_was_killed(temporal_kit: Kit, left: str) -> None:
    row = await waiting(temporal_kit)
    handle = temporal_kit.temporal.get_workflow_handle(row.id)
    if left != "nothing":
        await temporal_kit.starter.start(handover_of(await view_of(temporal_kit, row)))
    if left == "the_old_one_ended":
        await handle.terminate()
    await changed(temporal_kit, row)
    assert (await sweep(temporal_kit)).mended == 1
    assert (await standing(temporal_kit, row.id))[:2] == (WorkflowExecutionStatus.RUNNING, 1)
    seen = await temporal_kit.execution(row.id)
    assert (seen.status, seen.error) == (Status.RETRYING, None)
    await changed(temporal_kit, row, retry=seen.retry)  # due again, nothing new
    assert (await sweep(temporal_kit)).mended == 0
    await handle.terminate()


async def test_upkeep_that_has_looked_before_the_change_ends_nothing(temporal_kit: Kit) -> None:
    """It finds the old workflow terminated, and does not know yet that this was meant."""
    row = await waiting(temporal_kit)
    await temporal_kit.starter.start(handover_of(await view_of(temporal_kit, row)))
    before = await view_of(temporal_kit, row)
    await changed(temporal_kit, row)
    await temporal_kit.temporal.get_workflow_handle(row.id).terminate()
    assert not await temporal_kit.upkeep._mend(before)
    assert (await temporal_kit.execution(row.id)).status == Status.RETRYING


async def test_older_workflow_does_not_go_on(kit: Kit) -> None:
    row = await waiting(kit)
    await changed(kit, row)
    assert not (await kit.executions.open_execution(open_input(row, attempt=2))).proceed
    assert (await kit.execution(row.id)).attempt == 1
    assert (await kit.executions.open_execution(open_input(row, attempt=2, edition=1))).proceed
    assert (await kit.execution(row.id)).attempt == 2


@pytest.mark.parametrize("status", [Status.RETRYING, Status.FAILED, Status.CANCELED])
async def test_close_of_an_older_workflow_that_comes_late_changes_nothing(kit: Kit, status: Status) -> None:
    row = await waiting(kit)
    view = await changed(kit, row, next_attempt_at=NOW)
    late = close_input(row, status, failure=Failure("http_status", "500"), next_attempt_at=utcnow().isoformat())
    await kit.executions.close_execution(late)
    seen = await kit.execution(row.id)
    assert (seen.status, seen.next_attempt_at, seen.updated_at) == (Status.RETRYING, NOW, view.row.updated_at)


async def test_schedules_execution_stays_known_as_such(temporal_kit: Kit) -> None:
    flow_id, nominal = "schedule_1", NOW.replace(microsecond=0)
    execution_id, workflow_id = scheduled_execution_id(flow_id, nominal), f"{flow_id}-{temporal_kit.task_queue}"
    row = await waiting(temporal_kit, id=execution_id, workflow_id=workflow_id)
    marks = TypedSearchAttributes(
        [SearchAttributePair(SCHEDULED_BY, flow_id), SearchAttributePair(SCHEDULED_AT, nominal)]
    )
    await temporal_kit.starter.begin_anew(handover_of(await view_of(temporal_kit, row)), marks)
    assert await replacer(temporal_kit).replace(anew(await changed(temporal_kit, row)))
    described = await temporal_kit.temporal.get_workflow_handle(workflow_id).describe()
    assert (described.status, execution_id_of(described)) == (WorkflowExecutionStatus.RUNNING, execution_id)
    await temporal_kit.temporal.get_workflow_handle(workflow_id).terminate()


async def test_attempt_that_waits_in_its_queue_waits_on(temporal_kit: Kit) -> None:
    row = await waiting(temporal_kit, status=Status.QUEUED, next_attempt_at=None, queue_key="", handed_over_at=None)
    async with temporal_kit.database.transaction() as session:
        (await session.get_one(InstanceFlowRow, row.instance_flow_id)).queue_paused = True
    view = await changed(temporal_kit, row, retries_left=0)
    async with working(temporal_kit):
        assert await replacer(temporal_kit).replace(anew(view))

        async def parked() -> bool:
            return (await temporal_kit.execution(row.id)).run_id is not None

        assert await eventually(parked)
    seen = await temporal_kit.execution(row.id)
    assert (seen.status, seen.attempt, seen.reason) == (Status.QUEUED, 1, "queued_behind")
    await temporal_kit.temporal.get_workflow_handle(row.id).terminate()


class _Overtaken(Starter):
    """Somebody else begins a newer edition just before."""

    def __init__(self, kit: Kit, row: ExecutionRow) -> None:
        super().__init__(kit.temporal, kit.task_queue, PUBLIC_URL)
        self._kit, self._rows = kit, [row]

    async def begin_anew(self, *given: Any, **more: Any) -> None:
        while self._rows:
            await super().begin_anew(anew(await changed(self._kit, self._rows.pop())))
        await super().begin_anew(*given, **more)


async def test_newer_change_is_not_undone(temporal_kit: Kit) -> None:
    row = await waiting(temporal_kit)
    view = await changed(temporal_kit, row)
    assert not await Replacer(temporal_kit.temporal, _Overtaken(temporal_kit, row)).replace(anew(view))
    assert (await standing(temporal_kit, row.id))[1] == 2
    await temporal_kit.temporal.get_workflow_handle(row.id).terminate()
