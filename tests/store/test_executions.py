from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import Status
from store.engine import Database, violated
from store.executions import Acceptance, ExecutionFilter, Executions
from store.lineage import Lineage
from store.paging import Page
from store.tables import ExecutionRow, PayloadRow
from tests.factories import NOW, Deployed, deployed, execution

ALL = Page(limit=100)
SECOND = timedelta(seconds=1)


async def accept(
    session: AsyncSession, made: Deployed, tags: dict[str, str] | None = None, **given: Any
) -> ExecutionRow:
    row = execution(made.instance, made.flow, **given)
    await Executions(session).accept(Acceptance(row, tags=tags or {}))
    return row


async def test_accepted_delivery_is_kept_with_its_payload(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        row = execution(made.instance, made.flow)
        row.payload_id = row.id
        payload = PayloadRow(id=row.id, instance_id=made.instance.id, head=b"head", body=b"\x00", created_at=NOW)
        await Executions(session).accept(Acceptance(row, payload, {"order": "7"}))
    async with database.snapshot() as session:
        view = await Executions(session).view(row.id)
        kept = await Executions(session).payload(row.id)
    assert kept is not None
    assert kept.body == b"\x00"
    assert view is not None
    assert (view.row.status, view.customer_name, view.flow_key) == (Status.QUEUED, made.customer.name, "hello")
    assert view.version_number == 1


async def test_dedupe_key_is_claimed_once_until_released(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        first = await accept(session, made, dedupe_key="a")
        found = await Executions(session).by_dedupe_key(made.flow.id, "a")
        assert found is not None
        assert found.id == first.id

    async def repeat() -> None:
        async with database.transaction() as session:
            await accept(session, made, dedupe_key="a")

    with pytest.raises(IntegrityError) as caught:
        await repeat()
    assert violated(caught.value) == "executions.instance_flow_id,dedupe_key"
    async with database.transaction() as session:
        await Executions(session).release_dedupe_key(first.id)
    await repeat()


async def test_pending_are_queued_old_and_not_handed_over(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        second = await accept(session, made, queued_at=NOW + SECOND)
        first = await accept(session, made, queued_at=NOW)
        await accept(session, made, queued_at=NOW + 60 * SECOND)
        await accept(session, made, status=Status.SUCCEEDED)
        handed = await accept(session, made)
        executions = Executions(session)
        await executions.mark_handed_over([handed.id], NOW, NOW + SECOND)
        found = await executions.pending(NOW + 10 * SECOND, limit=5)
        assert [view.row.id for view in found] == [first.id, second.id]
        due = await executions.due_for_check(NOW + 2 * SECOND, limit=5)
        assert [view.row.id for view in due] == [handed.id]
        await executions.check_again([handed.id], NOW + 9 * SECOND)
        assert await executions.due_for_check(NOW + 2 * SECOND, limit=5) == []


@pytest.mark.parametrize(
    ("before", "attempt", "moved"),
    [
        ({"status": Status.RUNNING, "attempt": 1}, 1, True),
        ({"status": Status.RETRYING, "attempt": 1}, 2, True),
        ({"status": Status.RUNNING, "attempt": 2}, 1, False),
        ({"status": Status.SUCCEEDED, "attempt": 1}, 1, False),
    ],
)
async def test_move_spares_terminal_and_later_attempts(
    database: Database, before: dict[str, Any], attempt: int, moved: bool
) -> None:
    async with database.transaction() as session:
        row = await accept(session, await deployed(session), **before)
        changed = await Executions(session).move(row.id, attempt, {"status": Status.FAILED})
        assert (changed is not None) is moved
    async with database.snapshot() as session:
        found = await Executions(session).get(row.id)
    assert found is not None
    assert found.status == (Status.FAILED if moved else before["status"])


async def test_open_execution_of_the_flow(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        executions = Executions(session)
        row = await accept(session, made, status=Status.RETRYING)
        await accept(session, made, status=Status.FAILED)
        assert await executions.has_open(made.flow.id, except_id="")
        assert not await executions.has_open(made.flow.id, except_id=row.id)
        await accept(session, made, is_test=True)
        assert not await executions.has_open(made.flow.id, except_id=row.id)
        assert [each.id for each in await executions.open_of_instance(made.instance.id, limit=1)] == [row.id]


async def three_unlike(session: AsyncSession) -> dict[str, str]:
    """Ids by name: a failed one and its successful replay, and an unresolved failure elsewhere, 90 seconds long."""
    made, other = await deployed(session), await deployed(session)
    error = {"code": "http_500", "message": "The Shop is closed", "step": "order"}
    failed = await accept(session, made, {"order": "Nr 7"}, status=Status.FAILED, error=error, started_at=NOW)
    replay = await accept(session, made, status=Status.SUCCEEDED, replay_of=failed.id, started_at=NOW + SECOND)
    await Lineage(session).note_success(failed.id, replay.id, NOW)
    slow = await accept(
        session,
        other,
        {"order": "8"},
        status=Status.FAILED,
        trigger="schedule",
        is_test=True,
        started_at=NOW + 2 * SECOND,
        ended_at=NOW + 92 * SECOND,
    )
    return {failed.id: "failed", replay.id: "replay", slow.id: "slow"}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (ExecutionFilter(), ["slow", "replay", "failed"]),
        (ExecutionFilter(statuses=[Status.FAILED]), ["slow", "failed"]),
        (ExecutionFilter(triggers=["schedule"]), ["slow"]),
        (ExecutionFilter(tags=[("order", "Nr 7"), ("order", "9")]), ["failed"]),
        (ExecutionFilter(tags=[("other", "8")]), []),
        (ExecutionFilter(started_after=NOW + SECOND), ["slow", "replay"]),
        (ExecutionFilter(started_before=NOW + SECOND), ["failed"]),
        (ExecutionFilter(min_duration_seconds=90), ["slow"]),
        (ExecutionFilter(min_duration_seconds=90.5), []),
        (ExecutionFilter(is_test=False), ["replay", "failed"]),
        (ExecutionFilter(originals_only=True), ["slow", "failed"]),
        (ExecutionFilter(unresolved=True), ["slow"]),
        (ExecutionFilter(q="shop IS"), ["failed"]),
        (ExecutionFilter(q="nr 7"), ["failed"]),
        (ExecutionFilter(q="%"), []),
    ],
)
async def test_executions_filtered(database: Database, wanted: ExecutionFilter, names: list[str]) -> None:
    async with database.transaction() as session:
        by_id = await three_unlike(session)
        assert [by_id[view.row.id] for view in await Executions(session).list(wanted, ALL)] == names


async def test_executions_paged_and_filtered_by_owner(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        rows = [await accept(session, made) for _ in range(4)]
        await accept(session, await deployed(session))
        executions = Executions(session)
        for wanted in (
            ExecutionFilter(customer_ids=[made.customer.id]),
            ExecutionFilter(instance_ids=[made.instance.id]),
            ExecutionFilter(integration_ids=[made.integration.id]),
            ExecutionFilter(version_ids=[made.version.id]),
            ExecutionFilter(flow_ids=[made.flow.id]),
        ):
            first = await executions.list(wanted, Page(limit=1))
            rest = await executions.list(wanted, Page(limit=9, after=first[0].row.id))
            assert [view.row.id for view in [first[0], *rest]] == [row.id for row in rows[::-1]]
        some = await executions.of_instance(made.instance.id, after=rows[0].id, limit=2)
        assert [row.id for row in some] == [row.id for row in rows[1:3]]


async def test_replays_of_an_execution(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        original = await accept(session, made)
        replay = await accept(session, made, replay_of=original.id)
        assert [row.id for row in await Executions(session).replays(original.id)] == [replay.id]


async def test_opening_finds_whom_the_execution_belongs_to(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        row = await accept(session, made)
        found = await Executions(session).opening(row.id)
        assert found is not None
        assert (found.id, found.status, found.deployment_id) == (row.id, Status.QUEUED, row.deployment_id)
        assert (found.instance_name, found.customer_name) == (made.instance.name, made.customer.name)
        assert await Executions(session).opening("exec_gone") is None


async def test_executions_that_a_deploy_accepted(database: Database) -> None:
    async with database.transaction() as session:
        made, other = await deployed(session), await deployed(session)
        row = await accept(session, made, dedupe_key="deploy:dep_1")
        await accept(session, made, dedupe_key="deploy:dep_2")
        await accept(session, other, dedupe_key="deploy:dep_1")
        assert await Executions(session).of_deployment("deploy:dep_1", made.instance.id) == [row.id]


async def test_execution_handed_over_before_keeps_its_time(database: Database) -> None:
    async with database.transaction() as session:
        row = await accept(session, await deployed(session))
        executions = Executions(session)
        for at in (NOW, NOW + SECOND):
            await executions.mark_handed_over([row.id], at, at)
        found = await session.get_one(ExecutionRow, row.id)
        assert (found.handed_over_at, found.check_after) == (NOW, NOW)
