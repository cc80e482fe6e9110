"""Asking for a bulk upgrade, and steering it. The list of instances is frozen in the request's transaction."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.events import record
from api.integrations import service as integrations
from api.integrations.versions_service import chosen
from api.jobs.steering import steer
from domain.errors import Conflict, Invalid, MalformedBody, NotFound, Problem
from domain.upgrades import ItemStatus, Ring, SkipReason, Wish, ring_ends
from runtime.clock import utcnow
from runtime.ids import new_id
from store.jobs import ENDED, Jobs
from store.paging import Page
from store.tables import JobRow, UpgradeRow, VersionRow
from store.upgrades import Candidate, ItemView, Upgrades, UpgradeView

UPGRADE = "upgrade"


@dataclass(frozen=True)
class Wanted:
    """`instance_ids` None: all of the integration's."""

    version_id: str | None
    instance_ids: list[str] | None
    redeploy: bool
    rate_per_second: float | None
    rings: list[Ring]
    stop_at_failure_percent: float | None
    min_executions: int
    watch_seconds: float


@dataclass(frozen=True)
class Matched:
    """The version, and the instances in the order of their turn."""

    version: VersionRow
    candidates: list[Candidate]


async def match(session: AsyncSession, integration_id: str, wanted: Wanted) -> Matched:
    """Raises NotFound, Invalid for a version that cannot be chosen or instances that are not the integration's."""
    integration = await integrations.get(session, integration_id)
    version = await chosen(session, integration, wanted.version_id)
    found = await Upgrades(session).candidates(integration.id, wanted.instance_ids)
    if wanted.instance_ids is None:
        return Matched(version, list(found))
    by_id = {candidate.instance_id: candidate for candidate in found}
    problems = [
        Problem(f"#/instance_ids/{at}", "not_found", "There is no such instance of this integration.")
        for at, instance_id in enumerate(wanted.instance_ids)
        if instance_id not in by_id
    ]
    if problems:
        raise Invalid(f"{len(problems)} of these are no instances of the integration.", problems)
    return Matched(version, [by_id[instance_id] for instance_id in wanted.instance_ids])


async def start(session: AsyncSession, principal: str, integration_id: str, wanted: Wanted) -> UpgradeView:
    """One at a time for each integration. Raises Conflict `upgrade_in_progress`."""
    integration = await integrations.get(session, integration_id, for_update=True)
    under_way = await Upgrades(session).under_way(integration.id)
    if under_way is not None:
        raise Conflict(f"Another upgrade is under way: {under_way}.", code="upgrade_in_progress")
    matched = await match(session, integration_id, wanted)
    now = utcnow()
    items, ends = _frozen(matched, wanted, now)
    job = _job(integration.id, principal, items, now)
    Jobs(session).add(job)
    await session.flush()
    row = _row(job, matched.version, wanted, ends, now)
    await Upgrades(session).add(row, [{"upgrade_id": row.id, **item} for item in items])
    details = {"upgrade_id": row.id, "version": matched.version.number, "matched": len(items)}
    record(session, principal, "integration.upgrade_started", integration.id, details=details)
    return UpgradeView(row, job, matched.version.number, await Upgrades(session).counts(row.id))


async def find(
    session: AsyncSession, integration_ids: Sequence[str], states: Sequence[str], page: Page
) -> Sequence[UpgradeView]:
    return await Upgrades(session).list(integration_ids, states, page)


async def get(session: AsyncSession, upgrade_id: str, *, for_update: bool = False) -> UpgradeView:
    view = await Upgrades(session).view(upgrade_id, for_update=for_update)
    if view is None:
        raise NotFound("There is no such upgrade.")
    return view


async def find_items(session: AsyncSession, upgrade_id: str, statuses: Sequence[str], page: Page) -> Sequence[ItemView]:
    if page.after is not None and not (page.after.isdecimal() and len(page.after) < 10):
        raise MalformedBody("The cursor does not belong to this list.", code="invalid_cursor")
    return await Upgrades(session).items(upgrade_id, statuses, page)


async def pause(session: AsyncSession, principal: str, upgrade_id: str) -> UpgradeView:
    """What is being deployed is finished; nothing else begins."""
    return await _steer(session, principal, upgrade_id, Wish.PAUSE, "upgrade.paused")


async def resume(session: AsyncSession, principal: str, upgrade_id: str) -> UpgradeView:
    return await _steer(session, principal, upgrade_id, Wish.RUN, "upgrade.resumed")


async def abort(session: AsyncSession, principal: str, upgrade_id: str) -> UpgradeView:
    """What is upgraded stays so; the rest is left as it is."""
    return await _steer(session, principal, upgrade_id, Wish.ABORT, "upgrade.aborted")


async def _steer(session: AsyncSession, principal: str, upgrade_id: str, wish: Wish, action: str) -> UpgradeView:
    view = await get(session, upgrade_id, for_update=True)
    row, job = view.row, view.job
    if row.stopped is not None and job.state not in ENDED:
        raise Conflict("The upgrade is being rolled back.")
    if steer("upgrade", row, job, wish):
        row.updated_at = job.updated_at
        record(session, principal, action, row.id)
        await session.flush()
    return view


def _frozen(matched: Matched, wanted: Wanted, now: datetime) -> tuple[list[dict[str, Any]], list[int]]:
    """Columns of the items, first those to be moved, ring by ring; and the position of each ring's last one."""
    moving: list[tuple[Candidate, SkipReason | None]] = []
    skipped: list[tuple[Candidate, SkipReason | None]] = []
    for candidate in matched.candidates:
        reason = candidate.standing.reason_to_skip(matched.version.id, wanted.redeploy)
        (moving if reason is None else skipped).append((candidate, reason))
    ends = ring_ends(wanted.rings, len(moving))
    items: list[dict[str, Any]] = [
        {
            "position": position,
            "instance_id": candidate.instance_id,
            "ring": bisect_left(ends, position) + 1 if reason is None else 0,
            "status": ItemStatus.PENDING if reason is None else ItemStatus.SKIPPED,
            "reason": reason,
            "problems": [],
            "from_version_id": candidate.standing.version_id,
            "from_deployed_version_id": candidate.standing.deployed_version_id,
            "updated_at": now,
        }
        for position, (candidate, reason) in enumerate([*moving, *skipped], 1)
    ]
    return items, ends


def _job(integration_id: str, principal: str, items: Sequence[dict[str, Any]], now: datetime) -> JobRow:
    return JobRow(
        id=new_id("upg"),
        kind=UPGRADE,
        object_id=integration_id,
        principal=principal,
        state="running",
        stage="queued",
        total=len(items),
        done=sum(item["status"] == ItemStatus.SKIPPED for item in items),
        failed=0,
        created_at=now,
        updated_at=now,
    )


def _row(job: JobRow, version: VersionRow, wanted: Wanted, ends: list[int], now: datetime) -> UpgradeRow:
    return UpgradeRow(
        id=job.id,
        integration_id=version.integration_id,
        version_id=version.id,
        principal=job.principal,
        redeploy=wanted.redeploy,
        rate_per_second=wanted.rate_per_second,
        rings=[asdict(ring) for ring in wanted.rings],
        ring_ends=ends,
        rings_passed=0,
        stop_at_failure_percent=wanted.stop_at_failure_percent,
        min_executions=wanted.min_executions,
        watch_seconds=wanted.watch_seconds,
        wish=Wish.RUN,
        created_at=now,
        updated_at=now,
    )
