"""Asking for a replay of many executions, and steering it. They are frozen in the request's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.events import record
from api.jobs.steering import steer
from domain.errors import Invalid, MalformedBody, NotFound, Problem
from domain.replays import MOST_ITEMS
from domain.upgrades import Wish
from runtime.clock import utcnow
from runtime.ids import new_id
from store.executions import ExecutionFilter, Executions, ExecutionView
from store.jobs import Jobs
from store.paging import Page
from store.replays import ItemView, Replays, ReplayView
from store.tables import JobRow, ReplayRow

REPLAY = "replay"
SAMPLE = 10


@dataclass(frozen=True)
class Wanted:
    """`asked` is the filter as the client has said it."""

    filter: ExecutionFilter
    asked: dict[str, Any]
    original_version: bool
    from_failed_step: bool
    rate_per_second: float
    stop_at_failure_percent: float | None
    min_ended: int


async def preview(session: AsyncSession, wanted: Wanted) -> tuple[int, list[ExecutionView]]:
    """How many match, and the first of them."""
    matched = await _count(session, wanted)
    views = [await Executions(session).view(each) for each in await Replays(session).sample(wanted.filter, SAMPLE)]
    return matched, [view for view in views if view is not None]


async def start(session: AsyncSession, principal: str, wanted: Wanted) -> ReplayView:
    """Raises Invalid when more match than one replay takes."""
    matched, now, replay_id = await _count(session, wanted), utcnow(), new_id("rply")
    job = JobRow(
        id=replay_id,
        kind=REPLAY,
        object_id=replay_id,
        principal=principal,
        state="running",
        stage="queued",
        total=matched,
        done=0,
        failed=0,
        created_at=now,
        updated_at=now,
    )
    row = ReplayRow(
        id=replay_id,
        principal=principal,
        filter=wanted.asked,
        original_version=wanted.original_version,
        from_failed_step=wanted.from_failed_step,
        rate_per_second=wanted.rate_per_second,
        stop_at_failure_percent=wanted.stop_at_failure_percent,
        min_ended=wanted.min_ended,
        wish=Wish.RUN,
        created_at=now,
        updated_at=now,
    )
    Jobs(session).add(job)
    await session.flush()
    await Replays(session).add(row, wanted.filter)
    counts = await Replays(session).counts(row.id)
    job.total = sum(counts.values())  # what has come since it was counted is frozen, too
    record(session, principal, "replay.started", row.id, details={"matched": job.total, "filter": wanted.asked})
    await session.flush()
    return ReplayView(row, job, counts)


async def find(session: AsyncSession, states: Sequence[str], page: Page) -> Sequence[ReplayView]:
    return await Replays(session).list(states, page)


async def get(session: AsyncSession, replay_id: str, *, for_update: bool = False) -> ReplayView:
    view = await Replays(session).view(replay_id, for_update=for_update)
    if view is None:
        raise NotFound("There is no such replay.")
    return view


async def find_items(session: AsyncSession, replay_id: str, statuses: Sequence[str], page: Page) -> Sequence[ItemView]:
    if page.after is not None and not (page.after.isdecimal() and len(page.after) < 10):
        raise MalformedBody("The cursor does not belong to this list.", code="invalid_cursor")
    return await Replays(session).items(replay_id, statuses, page)


async def pause(session: AsyncSession, principal: str, replay_id: str) -> ReplayView:
    """No other one begins; what runs goes on."""
    return await _steer(session, principal, replay_id, Wish.PAUSE, "replay.paused")


async def resume(session: AsyncSession, principal: str, replay_id: str) -> ReplayView:
    return await _steer(session, principal, replay_id, Wish.RUN, "replay.resumed")


async def abort(session: AsyncSession, principal: str, replay_id: str) -> ReplayView:
    """What runs goes on, the rest is left as it is."""
    return await _steer(session, principal, replay_id, Wish.ABORT, "replay.aborted")


async def _steer(session: AsyncSession, principal: str, replay_id: str, wish: Wish, action: str) -> ReplayView:
    view = await get(session, replay_id, for_update=True)
    if steer("replay", view.row, view.job, wish):
        view.row.updated_at = view.job.updated_at
        record(session, principal, action, replay_id)
        await session.flush()
    return view


async def _count(session: AsyncSession, wanted: Wanted) -> int:
    matched = await Replays(session).count(wanted.filter, MOST_ITEMS)
    if matched > MOST_ITEMS:
        detail = f"More than {MOST_ITEMS:,} executions match: narrow it, for example by started_before."
        raise Invalid("Too many executions match.", [Problem("#/filter", "too_many", detail)])
    return matched
