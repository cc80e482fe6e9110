from dataclasses import fields
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import StepStatus
from store.engine import Database
from store.steps import Record, Steps
from store.tables import StepRow
from tests.factories import NOW, deployed, execution, save


def step(execution_id: str, path: str = "greet", **given: Any) -> Record:
    defaults: dict[str, Any] = {
        "execution_id": execution_id,
        "attempt": 1,
        "path": path,
        "key": path,
        "name": path,
        "component": "log",
        "action": "write",
        "position": 0,
        "iteration": [],
        "status": StepStatus.SUCCEEDED,
        "tries": 1,
        "output_size": 0,
        "started_at": NOW,
    }
    return Record(**(defaults | given))


async def an_execution(session: AsyncSession) -> str:
    made = await deployed(session)
    row = execution(made.instance, made.flow)
    await save(session, row)
    return row.id


async def test_running_step_is_completed(database: Database) -> None:
    async with database.transaction() as session:
        of = await an_execution(session)
        assert await Steps(session).record([step(of, status=StepStatus.RUNNING, tries=1)])
        assert await Steps(session).record([step(of, output=b"\x00", iteration=[2], tries=2)])
    async with database.snapshot() as session:
        found = await Steps(session).get(of, 1, "greet")
    assert found is not None
    assert (found.status, found.output, found.iteration, found.tries) == (StepStatus.SUCCEEDED, b"\x00", [2], 2)


@pytest.mark.parametrize("ended", [StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.CANCELED])
async def test_ended_step_is_not_overwritten(database: Database, ended: StepStatus) -> None:
    async with database.transaction() as session:
        of = await an_execution(session)
        assert await Steps(session).record([step(of, output=b"first", status=ended)])
        assert not await Steps(session).record([step(of, output=b"second")])
    async with database.snapshot() as session:
        found = await Steps(session).get(of, 1, "greet")
    assert found is not None
    assert (found.status, found.output) == (ended, b"first")


async def test_several_records_at_once(database: Database) -> None:
    async with database.transaction() as session:
        of = await an_execution(session)
        await Steps(session).record([step(of, "a", branch="Big")])
        assert not await Steps(session).record([step(of, "a", branch="Small"), step(of, "b", attempt=2)])
    async with database.snapshot() as session:
        rows = await Steps(session).of_execution(of)
    assert [(row.path, row.attempt, row.branch) for row in rows] == [("a", 1, "Big"), ("b", 2, None)]


async def test_latest_and_latest_successful_attempt(database: Database) -> None:
    async with database.transaction() as session:
        of = await an_execution(session)
        steps = Steps(session)
        await steps.record([step(of, attempt=1), step(of, attempt=2), step(of, attempt=3, status=StepStatus.FAILED)])
        succeeded, latest = await steps.succeeded(of, "greet"), await steps.latest(of, "greet")
        assert succeeded == step(of, attempt=2)
        assert latest is not None
        assert latest.attempt == 3
        assert await steps.latest(of, "absent") is None


async def test_steps_in_start_order(database: Database) -> None:
    async with database.transaction() as session:
        of = await an_execution(session)
        rows = [step(of, "c", attempt=2), step(of, "b", position=1), step(of, "a", position=0)]
        await Steps(session).record(rows)
        assert [row.path for row in await Steps(session).of_execution(of)] == ["a", "b", "c"]


def test_record_has_every_column() -> None:
    assert {column.key for column in StepRow.__table__.columns} == {column.name for column in fields(Record)}
