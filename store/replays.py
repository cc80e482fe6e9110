"""Every query about replays of many executions and their items."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.executions import TERMINAL, Status
from domain.replays import ReplayStatus, SkipReason
from domain.upgrades import FailureRate
from store.executions import ExecutionFilter, Executions
from store.paging import Page, paged
from store.tables import ExecutionRow, JobRow, ReplayItemRow, ReplayRow
from store.types import UtcDateTime

AT_ONCE = 500  # items settled by one statement
REPLAY = aliased(ExecutionRow)
OUTCOMES = {Status.SUCCEEDED: ReplayStatus.SUCCEEDED, Status.FAILED: ReplayStatus.FAILED}


@dataclass(frozen=True)
class ItemView:
    row: ReplayItemRow
    status: str
    error: dict[str, Any] | None  # of the replay


@dataclass(frozen=True)
class ReplayView:
    row: ReplayRow
    job: JobRow
    counts: dict[str, int]


class Replays:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def count(self, wanted: ExecutionFilter, most: int) -> int:
        """How many match; `most` + 1 when there are more."""
        query = select(func.count()).select_from(self._matching(wanted).limit(most + 1).subquery())
        return await self.session.scalar(query) or 0

    async def sample(self, wanted: ExecutionFilter, limit: int) -> Sequence[str]:
        """Ids of those whose turn is first."""
        turns = self._turns(wanted)
        return (await self.session.scalars(select(turns.c.id).order_by(turns.c.turn, turns.c.id).limit(limit))).all()

    async def add(self, row: ReplayRow, wanted: ExecutionFilter) -> None:
        """With an item for each execution that matches now. The job is there already."""
        self.session.add(row)
        await self.session.flush()
        turns = self._turns(wanted)
        columns = {
            "replay_id": literal(row.id),
            "position": func.row_number().over(order_by=(turns.c.turn, turns.c.id)),
            "execution_id": turns.c.id,
            "instance_id": turns.c.instance_id,
            "customer_id": turns.c.customer_id,
            "status": literal(ReplayStatus.PENDING.value),
            "updated_at": literal(row.created_at, UtcDateTime()),
        }
        await self.session.execute(insert(ReplayItemRow).from_select(list(columns), select(*columns.values())))

    async def get(self, replay_id: str) -> ReplayRow | None:
        return await self.session.get(ReplayRow, replay_id)

    async def list(self, states: Sequence[str], page: Page) -> Sequence[ReplayView]:
        query = select(ReplayRow, JobRow).join(JobRow, JobRow.id == ReplayRow.id)
        if states:
            query = query.where(JobRow.state.in_(states))
        rows = (await self.session.execute(paged(query, ReplayRow.id, page))).all()
        counts = await self._counts([row.id for row, _ in rows])
        return [ReplayView(row, job, counts[row.id]) for row, job in rows]

    async def view(self, replay_id: str, *, for_update: bool = False) -> ReplayView | None:
        query = select(ReplayRow, JobRow).join(JobRow, JobRow.id == ReplayRow.id).where(ReplayRow.id == replay_id)
        if for_update:
            query = query.with_for_update(of=[ReplayRow, JobRow])
        row = (await self.session.execute(query)).one_or_none()
        return ReplayView(row[0], row[1], await self.counts(replay_id)) if row is not None else None

    async def counts(self, replay_id: str) -> dict[str, int]:
        """Items by status; a status without any is 0."""
        return (await self._counts([replay_id]))[replay_id]

    async def items(self, replay_id: str, statuses: Sequence[str], page: Page) -> Sequence[ItemView]:
        """In the order of their turns."""
        query = _with_replays(select(ReplayItemRow, _status(), REPLAY.error)).where(
            ReplayItemRow.replay_id == replay_id
        )
        if statuses:
            query = query.where(_status().in_(statuses))
        if page.after is not None:
            query = query.where(ReplayItemRow.position > int(page.after))
        rows = await self.session.execute(query.order_by(ReplayItemRow.position).limit(page.limit + 1))
        return [ItemView(*row) for row in rows]

    async def next_pending(self, replay_id: str, after: int) -> int | None:
        """The position of the next one."""
        query = select(ReplayItemRow.position).where(
            ReplayItemRow.replay_id == replay_id,
            ReplayItemRow.status == ReplayStatus.PENDING,
            ReplayItemRow.position > after,
        )
        return await self.session.scalar(query.order_by(ReplayItemRow.position).limit(1))

    async def item(self, replay_id: str, position: int) -> ReplayItemRow | None:
        return await self.session.get(ReplayItemRow, (replay_id, position), with_for_update=True)

    async def settle(self, replay_id: str, at: datetime) -> None:
        """Write down how the replays have ended that have."""
        while rows := await self._ended(replay_id):
            for outcome in sorted({(status, reason) for _, status, reason in rows}, key=str):
                positions = [position for position, *settled in rows if tuple(settled) == outcome]
                mine = (ReplayItemRow.replay_id == replay_id) & ReplayItemRow.position.in_(positions)
                values = {"status": outcome[0], "reason": outcome[1], "updated_at": at}
                await self.session.execute(update(ReplayItemRow).where(mine).values(values))

    async def skip_pending(self, replay_id: str, reason: str, at: datetime) -> None:
        pending = (ReplayItemRow.replay_id == replay_id) & (ReplayItemRow.status == ReplayStatus.PENDING)
        values = {"status": ReplayStatus.SKIPPED, "reason": reason, "updated_at": at}
        await self.session.execute(update(ReplayItemRow).where(pending).values(values))

    async def why_not(self, original: ExecutionRow, since: datetime) -> SkipReason | None:
        """What has become of an execution since then that makes another replay needless."""
        if original.status not in TERMINAL:
            return SkipReason.NOT_ENDED
        query = select(ExecutionRow.status, ExecutionRow.queued_at, ExecutionRow.ended_at)
        query = query.where(ExecutionRow.id.in_(select(_descendants(original.id).c.id)))
        found = (await self.session.execute(query)).all()
        if any(status not in TERMINAL for status, _, _ in found):
            return SkipReason.BEING_REPLAYED
        if any(status == Status.SUCCEEDED and (ended_at or since) >= since for status, _, ended_at in found):
            return SkipReason.RESOLVED
        return SkipReason.REPLAYED_MEANWHILE if any(queued_at >= since for _, queued_at, _ in found) else None

    def _matching(self, wanted: ExecutionFilter) -> Select[Any]:
        return select(ExecutionRow.id).where(*Executions(self.session).conditions(wanted))

    def _turns(self, wanted: ExecutionFilter) -> Any:
        """Round robin: the first turn of every customer, the second of every customer …"""
        turn = func.row_number().over(partition_by=ExecutionRow.customer_id, order_by=ExecutionRow.id)
        columns = ExecutionRow.instance_id, ExecutionRow.customer_id, turn.label("turn")
        return self._matching(wanted).add_columns(*columns).subquery()

    async def _counts(self, replay_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        status = _status().label("became")
        counting = select(ReplayItemRow.replay_id, status, func.count())
        query = (
            _with_replays(counting)
            .where(ReplayItemRow.replay_id.in_(replay_ids))
            .group_by(ReplayItemRow.replay_id, status)
        )
        counted = {replay_id: {each.value: 0 for each in ReplayStatus} for replay_id in replay_ids}
        for replay_id, became, count in await self.session.execute(query):
            counted[replay_id][became] = count
        return counted

    async def _ended(self, replay_id: str) -> Sequence[tuple[int, str, str | None]]:
        """Some of those that are `started` and whose replays have ended, or are gone."""
        query = (
            select(ReplayItemRow.position, REPLAY.status)
            .outerjoin(REPLAY, REPLAY.id == ReplayItemRow.replayed_as)
            .where(ReplayItemRow.replay_id == replay_id, ReplayItemRow.status == ReplayStatus.STARTED)
            .where(REPLAY.id.is_(None) | REPLAY.status.in_(TERMINAL))
            .limit(AT_ONCE)
        )
        rows = (await self.session.execute(query)).all()
        return [(position, *_outcome(status)) for position, status in rows]


def failure_rate(counts: dict[str, int]) -> FailureRate:
    failed = counts[ReplayStatus.FAILED]
    return FailureRate(failed + counts[ReplayStatus.SUCCEEDED], failed)


def _outcome(status: str | None) -> tuple[str, str | None]:
    if status is None:
        return ReplayStatus.SKIPPED, SkipReason.DELETED
    outcome = OUTCOMES.get(Status(status))
    return (ReplayStatus.SKIPPED, SkipReason.CANCELED) if outcome is None else (outcome, None)


def _with_replays(query: Any) -> Any:
    started = and_(REPLAY.id == ReplayItemRow.replayed_as, ReplayItemRow.status == ReplayStatus.STARTED)
    return query.select_from(ReplayItemRow).outerjoin(REPLAY, started)


def _status() -> ColumnElement[str]:
    """As it is now, also where nobody has written it down yet."""
    ended = [(REPLAY.status == status, _outcome(status)[0]) for status in sorted(TERMINAL)]
    return case(*[(condition, literal(str(became))) for condition, became in ended], else_=ReplayItemRow.status)


def _descendants(execution_id: str) -> Any:
    """Its replays, their replays, and so on."""
    found = select(ExecutionRow.id).where(ExecutionRow.replay_of == execution_id).cte("descendants", recursive=True)
    return found.union(select(ExecutionRow.id).join(found, ExecutionRow.replay_of == found.c.id))
