from dataclasses import replace
from datetime import timedelta

from activities.retention import RetentionActivities
from domain.executions import Status
from domain.retention import Retention
from domain.sweeps import RetentionInput, RetentionReport
from runtime.clock import utcnow
from store.sweeps import Sweeps
from store.tables import ExecutionRow, LogRow, PayloadRow, StepRow
from tests.activities.kit import Kit, definition
from tests.factories import saved
from tests.store.test_retention import accepted, line

DAY = timedelta(days=1)
USUAL = Retention(executions=14 * DAY, payloads=14 * DAY, step_outputs=14 * DAY, logs=14 * DAY, unresolved=30 * DAY)


async def swept(kit: Kit, retention: Retention, after: str = "") -> RetentionReport:
    activities = RetentionActivities(kit.database, retention)
    message = RetentionInput("executions", utcnow().isoformat(), after)
    report: RetentionReport = await kit.environment.run(activities.remove_expired, message)
    await kit.environment.run(activities.end_retention, report)
    return report


async def test_everything_that_is_over_is_removed_in_one_go(kit: Kit) -> None:
    made = await kit.made(definition({}))
    async with kit.database.transaction() as session:
        for days in (40, 20, 20, 2):
            await accepted(session, made, utcnow() - days * DAY, status=Status.SUCCEEDED)
        await accepted(session, made, utcnow() - 20 * DAY, status=Status.FAILED)
    report = await swept(kit, USUAL)
    assert (report.done, report.removed["executions"]) == (True, 3)
    assert len(await kit.rows(ExecutionRow)) == 2
    assert (await swept(kit, USUAL)).removed == {"executions": 0, "logs": 0}
    async with kit.database.snapshot() as session:
        sweep = await Sweeps(session).get("retention")
    assert sweep is not None
    assert sweep.report == {"removed": {"executions": 0, "logs": 0}}


async def test_each_kind_may_be_kept_for_less_time(kit: Kit) -> None:
    made = await kit.made(definition({}))
    async with kit.database.transaction() as session:
        row = await accepted(session, made, utcnow() - 5 * DAY, status=Status.SUCCEEDED)
    await saved(kit.database, line(None, type="management"))
    assert (await swept(kit, USUAL)).removed == {"executions": 0, "logs": 2}  # the tests' ids are old
    assert (await swept(kit, replace(USUAL, payloads=4 * DAY))).removed["payloads"] == 1
    assert await kit.rows(PayloadRow) == []
    assert (await swept(kit, replace(USUAL, step_outputs=6 * DAY))).removed["step_outputs"] == 0
    assert (await swept(kit, replace(USUAL, step_outputs=4 * DAY))).removed["step_outputs"] == 1
    [step] = await kit.rows(StepRow)
    assert (step.output, step.execution_id) == (None, row.id)
    assert await kit.rows(LogRow) == []


async def test_look_goes_on_where_another_one_ended(kit: Kit) -> None:
    made = await kit.made(definition({}))
    async with kit.database.transaction() as session:
        first, second = [await accepted(session, made, utcnow() - 20 * DAY) for _ in range(2)]
    report = await swept(kit, USUAL, after=first.id)
    assert report.removed["executions"] == 1
    assert [row.id for row in await kit.rows(ExecutionRow)] == [first.id]
    assert second.id not in {row.id for row in await kit.rows(PayloadRow)}
