"""What is kept no longer: found along the ids, which sort by time, and removed a batch at a time.

Nobody may begin a replay while its execution is looked at: who would replay one locks it, and who would remove one, or
what it needs, locks it too, and passes over what somebody else has locked.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exists, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.executions import Status
from domain.ids import first_id
from domain.retention import Cutoffs, End
from store.dialect import affected
from store.removal import SHARING, Removal
from store.steps import Record
from store.tables import ExecutionRow, LogRow, PayloadRow, StepRow

ENDED = (ExecutionRow.id, ExecutionRow.status, ExecutionRow.ended_at, ExecutionRow.resolved_at)

# As in the tables, word for word: SQLite uses a partial index only where the query says its very condition.
WITH_VALUES: ColumnElement[bool] = literal_column(
    "executions.ended_at IS NOT NULL AND executions.step_values_removed_at IS NULL"
)


@dataclass(frozen=True)
class Batch:
    """What one transaction has removed, and where the next one goes on; None: nothing is left."""

    after: str | None
    removed: int


class Expired:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def remove_executions(self, cutoffs: Cutoffs, after: str, limit: int) -> Batch:
        """With their payloads, tags, steps, lines, state and blobs."""
        query = select(*ENDED).where(ExecutionRow.id > after, ExecutionRow.id < first_id("exec", cutoffs.usual))
        seen = (await self.session.execute(query.order_by(ExecutionRow.id).limit(limit))).all()
        ids = await self._locked([row.id for row in seen if cutoffs.passed(_end(row))], cutoffs)
        if ids:
            await Removal(self.session).executions(ids, await self._workflow_ids(ids))
        return Batch(seen[-1].id if len(seen) == limit else None, len(ids))

    async def remove_payloads(self, cutoffs: Cutoffs, after: str, limit: int) -> Batch:
        """Each once nobody who shares it needs it any longer."""
        query = select(PayloadRow.id).where(PayloadRow.id > after, PayloadRow.id < first_id("exec", cutoffs.usual))
        seen = (await self.session.scalars(query.order_by(PayloadRow.id).limit(limit))).all()
        sharers = await self._sharers(seen)
        candidates = [each for each in seen if all(cutoffs.passed(_end(row)) for row in sharers[each])]
        wanted = [row.id for each in candidates for row in sharers[each]]
        free = set(await self._locked(wanted, cutoffs))
        now = await self._sharers(candidates)
        unused = [each for each in candidates if {row.id for row in now[each]} <= free]
        removed = await self._delete(PayloadRow.id.in_(unused), PayloadRow) if unused else 0
        return Batch(seen[-1] if len(seen) == limit else None, removed)

    async def remove_step_values(self, cutoffs: Cutoffs, after: str, limit: int, now: datetime) -> Batch:
        """Inputs and outputs; that the steps were carried out stays on record. In the order of the ends."""
        query = select(*ENDED).where(WITH_VALUES, ExecutionRow.ended_at < cutoffs.usual, _passed(cutoffs))
        if after:
            query = query.where(ExecutionRow.ended_at >= datetime.fromisoformat(after))
        seen = (await self.session.execute(query.order_by(ExecutionRow.ended_at).limit(limit))).all()
        ids = await self._locked([row.id for row in seen], cutoffs)
        if ids:
            await self.forget_step_values(ids, now)
        last = seen[-1].ended_at.isoformat() if len(seen) == limit else None
        return Batch(last if ids or last != after else None, len(ids))

    async def forget_step_values(self, execution_ids: Sequence[str], now: datetime) -> None:
        gone = {"step_values_removed_at": now, "answer_until": None}
        steps = update(StepRow).where(StepRow.execution_id.in_(execution_ids)).values(inputs=None, output=None)
        executions = update(ExecutionRow).where(ExecutionRow.id.in_(execution_ids)).values(gone)
        for statement in (steps, executions):
            await self.session.execute(statement.execution_options(synchronize_session=False))

    async def forget_all_but_answer(self, execution_id: str, answer: Record | None, until: datetime) -> None:
        """The values of its steps, but for what the execution came to: that goes with `forget_answers`."""
        path, attempt = (answer.path, answer.attempt) if answer else ("", 0)
        others = (StepRow.path != path) | (StepRow.attempt != attempt)
        steps = update(StepRow).where(StepRow.execution_id == execution_id)
        for statement in (
            steps.where(others).values(inputs=None, output=None),
            steps.where(~others).values(inputs=None),
            update(ExecutionRow).where(ExecutionRow.id == execution_id).values(answer_until=until),
        ):
            await self.session.execute(statement.execution_options(synchronize_session=False))

    async def forget_answers(self, now: datetime, limit: int) -> int:
        """Those whose time is over, and whose caller, if one waits for them, has ended. How many it were."""
        caller = aliased(ExecutionRow)
        wanted = exists().where(caller.id == ExecutionRow.invoked_by, caller.ended_at.is_(None))
        query = select(ExecutionRow.id).where(ExecutionRow.answer_until < now, ~(ExecutionRow.is_awaited & wanted))
        ids = (await self.session.scalars(query.order_by(ExecutionRow.answer_until).limit(limit))).all()
        if ids:
            await self.forget_step_values(ids, now)
        return len(ids)

    async def remove_logs(self, cutoffs: Cutoffs, after: str, limit: int) -> Batch:
        """Lines of what has not ended stay, and of what is unresolved."""
        query = (
            select(LogRow.id, LogRow.execution_id, *ENDED[1:])
            .outerjoin(ExecutionRow, ExecutionRow.id == LogRow.execution_id)
            .where(LogRow.id > after, LogRow.id < first_id("log", cutoffs.usual))
        )
        seen = (await self.session.execute(query.order_by(LogRow.id).limit(limit))).all()
        ids = [row.id for row in seen if row.status is None or _lines_passed(row, cutoffs)]
        removed = await self._delete(LogRow.id.in_(ids), LogRow) if ids else 0
        return Batch(seen[-1].id if len(seen) == limit else None, removed)

    async def sharers(self, payload_ids: Sequence[str]) -> dict[str, list[End]]:
        """By payload, how those have ended that have it."""
        found = await self._sharers(payload_ids)
        return {payload_id: [_end(row) for row in rows] for payload_id, rows in found.items()}

    async def _sharers(self, payload_ids: Sequence[str]) -> dict[str, list[Any]]:
        """Whose it was first has its id; replays share it."""
        found: defaultdict[str, list[Any]] = defaultdict(list)
        query = select(*ENDED, ExecutionRow.payload_id)
        for which in (ExecutionRow.id.in_(payload_ids), SHARING & ExecutionRow.payload_id.in_(payload_ids)):
            for row in await self.session.execute(query.where(which)) if payload_ids else ():
                found[row.payload_id].append(row)
        return found

    async def _locked(self, ids: Sequence[str], cutoffs: Cutoffs) -> Sequence[str]:
        """Of these the ones that are over for sure, locked; without those that an open replay takes outputs from."""
        open_replay = aliased(ExecutionRow)
        needed = exists().where(open_replay.resume_from == ExecutionRow.id, open_replay.ended_at.is_(None))
        query = select(ExecutionRow.id).where(ExecutionRow.id.in_(ids), _passed(cutoffs), ~needed)
        query = query.order_by(ExecutionRow.id).with_for_update(of=ExecutionRow, skip_locked=True)
        return (await self.session.scalars(query)).all() if ids else []

    async def _workflow_ids(self, ids: Sequence[str]) -> list[str]:
        found = await self.session.scalars(select(ExecutionRow.workflow_id).where(ExecutionRow.id.in_(ids)))
        return sorted({*ids, *(each for each in found if each is not None)})

    async def _delete(self, which: ColumnElement[bool], row: type[PayloadRow] | type[LogRow]) -> int:
        statement = delete(row).where(which).execution_options(synchronize_session=False)
        return affected(await self.session.execute(statement))


def _passed(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """As `Cutoffs.passed` says it."""
    unresolved = (ExecutionRow.status == Status.FAILED) & ExecutionRow.resolved_at.is_(None)
    return ExecutionRow.ended_at < case((unresolved, cutoffs.unresolved), else_=cutoffs.usual)


def _lines_passed(row: Any, cutoffs: Cutoffs) -> bool:
    """The lines themselves are old enough."""
    end = _end(row)
    return end.ended_at is not None and (not end.unresolved or end.ended_at < cutoffs.unresolved)


def _end(row: Any) -> End:
    return End(row.status, row.ended_at, row.resolved_at)
