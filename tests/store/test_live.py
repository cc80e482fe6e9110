from datetime import UTC, datetime, timedelta
from typing import Any

from store.engine import Database
from store.live import Changed, Live, Owners
from store.logs import Logs
from store.tables import StepRow
from tests.factories import NOW, deployed, event, execution, save

SECOND = timedelta(seconds=1)


def step(execution_id: str, path: str, **given: Any) -> StepRow:
    usual: dict[str, Any] = {"attempt": 1, "key": path, "name": path, "component": "http", "action": "get"}
    usual |= {"position": 1, "iteration": [], "status": "running", "tries": 1, "started_at": NOW, "output": b"secret"}
    return StepRow(execution_id=execution_id, path=path, **usual | given)


async def test_executions_that_have_changed(database: Database) -> None:
    async with database.transaction() as session:
        mine, other = await deployed(session), await deployed(session)
        rows = [execution(mine.instance, mine.flow, updated_at=NOW + number * SECOND) for number in (2, 0, 1)]
        foreign = execution(other.instance, other.flow, updated_at=NOW + 3 * SECOND)
        await save(session, *rows, foreign)
        live, ids = Live(session), [row.id for row in rows]
        changed = await live.changed_executions(NOW + SECOND)
        assert changed == [
            Changed(ids[2], NOW + SECOND),
            Changed(ids[0], NOW + 2 * SECOND),
            Changed(foreign.id, NOW + 3 * SECOND),
        ]
        owners = Owners(frozenset(), frozenset([mine.instance.id]))
        states = await live.executions([each.id for each in changed], owners)
        assert [state.id for state in states] == [ids[2], ids[0]]
        first = await live.executions_after(Changed("", NOW), 2, owners)
        rest = await live.executions_after(Changed(first[-1].id, first[-1].updated_at), 2, owners)
        assert [state.id for state in [*first, *rest]] == [ids[1], ids[2], ids[0]]
        by_customer = Owners(frozenset([other.customer.id]), frozenset())
        assert [state.id for state in await live.executions([*ids, foreign.id], by_customer)] == [foreign.id]


async def test_step_that_is_tried_again_or_ends_leaves_another_mark(database: Database) -> None:
    async with database.transaction() as session:
        made = await deployed(session)
        row = execution(made.instance, made.flow)
        await save(session, row, step(row.id, "a"), step(row.id, "b", position=2))
        live, marks = Live(session), []
        for change in ({}, {"tries": 2}, {"status": "succeeded", "ended_at": NOW}):
            found = await session.get_one(StepRow, (row.id, 1, "b"))
            for name, value in change.items():
                setattr(found, name, value)
            await session.flush()
            marks += await live.step_marks([row.id, "exec_none"])
        assert [tuple(mark)[1:] for mark in marks] == [(2, 2, 0), (2, 3, 0), (2, 3, 1)]
        steps = await live.steps(row.id)
        assert [(each.path, each.status, each.tries) for each in steps] == [("a", "running", 1), ("b", "succeeded", 2)]
        assert "secret" not in str(steps)


async def test_events_and_lines_of_some_owners(database: Database) -> None:
    async with database.transaction() as session:
        mine, other = await deployed(session), await deployed(session)
        events = [event(each.instance, "instance.paused") for each in (mine, other)]
        await save(session, *events, event(mine.instance, "view.created", instance_id=None))
        lines = [
            {"id": f"log_{number}", "timestamp": NOW, "severity": 2, "message": "Hello", "type": "execution"}
            | {"instance_id": owner, "execution_id": execution_id, "customer_id": None}
            for number, (owner, execution_id) in enumerate(
                [(mine.instance.id, None), ("inst_x", "exec_1"), (None, None)], 1
            )
        ]
        await Logs(session).add_many(lines)
        owners = Owners(frozenset(), frozenset([mine.instance.id]), frozenset(["exec_1"]))
        live = Live(session)
        long_ago = datetime(1970, 1, 1, tzinfo=UTC)
        assert await live.event_ids(long_ago) == [each.id for each in events]
        assert [each.id for each in await live.events([each.id for each in events], owners)] == [events[0].id]
        ids = await live.log_ids(long_ago)
        assert ids == ["log_1", "log_2", "log_3"]
        assert [line.id for line in await Logs(session).of_ids(ids, owners)] == ["log_1", "log_2"]
        assert len(await Logs(session).of_ids(ids, None)) == 3
