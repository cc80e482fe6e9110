"""Taking facts off the outbox: alerts of the monitors that they concern, events for the endpoints that want them."""

from collections.abc import Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from activities.alerting import Alerting, Firing, event_row
from activities.happenings import happenings
from activities.outbox import watches_of
from domain.alerts import Happening
from domain.errors import Unavailable
from domain.monitors import TriggerType, Watch, Watches, is_event, matches
from runtime.clock import utcnow
from store.deliveries import Deliveries
from store.engine import Database
from store.monitors import Conditions, Monitors
from store.outbox import OutboxFacts
from store.tables import OutboxRow
from store.targets import EventEndpoints, Targets

BATCH = 200

log = structlog.get_logger()


class Dispatcher:
    def __init__(self, database: Database, alerting: Alerting) -> None:
        self._database = database
        self._alerting = alerting

    async def dispatch(self) -> int:
        """How many facts were taken off the outbox; a full batch means that there may be more."""
        try:
            return await self._dispatch(BATCH)
        except Unavailable:
            raise
        except Exception:
            log.exception("outbox_batch_failed")
        taken = 0
        while await self._dispatch_one():
            taken += 1
        return taken

    async def _dispatch(self, limit: int) -> int:
        async with self._database.transaction() as session:
            rows = await OutboxFacts(session).take(limit)
            if rows:
                await self._tell(session, rows)
                await OutboxFacts(session).delete([row.id for row in rows])
        return len(rows)

    async def _dispatch_one(self) -> bool:
        """By itself, so that one that cannot be told does not hold up the others. False: none, or that one has come."""
        async with self._database.transaction() as session:
            rows = await OutboxFacts(session).take(1)
            if not rows:
                return False
            try:
                async with session.begin_nested():
                    await self._tell(session, rows)
            except Exception:
                log.exception("fact_not_told", fact_id=rows[0].id, kind=rows[0].kind)
                await OutboxFacts(session).note_error(rows[0].id)
                return False
            await OutboxFacts(session).delete([rows[0].id])
        return True

    async def _tell(self, session: AsyncSession, rows: Sequence[OutboxRow]) -> None:
        found = await happenings(session, rows)
        await self._alerting.fire(session, await _firings(session, found))
        await _tell_endpoints(session, found)


async def _firings(session: AsyncSession, found: Sequence[Happening]) -> list[Firing]:
    places = [each.place for about in found for each in (about, *about.elsewhere)]
    monitors = await Monitors(session).around(
        sorted({place.instance_id for place in places if place.instance_id}),
        sorted({place.customer_id for place in places if place.customer_id}),
        sorted({place.integration_id for place in places if place.integration_id}),
    )
    by_id = {row.id: row for row in monitors}
    watches = Watches(watch for row in monitors for watch in watches_of(row))
    firings = []
    for about in found:
        for watch, happening in _concerned(watches, about).items():
            if await _is_news(session, watch, about):
                firings.append(Firing(by_id[watch.monitor_id], watch.trigger, happening))
    return firings


def _concerned(watches: Watches, about: Happening) -> dict[Watch, Happening]:
    """Each once, however often it is concerned."""
    found: dict[Watch, Happening] = {}
    for each in (about, *about.elsewhere):
        for watch in watches.at(each.place):
            if about.at >= watch.since and watch.fires(about.kind, about.details):
                found.setdefault(watch, each)
    return found


async def _is_news(session: AsyncSession, watch: Watch, about: Happening) -> bool:
    """A slow execution may have been found already, while it ran."""
    if watch.trigger.type != TriggerType.EXECUTION_SLOW:
        return True
    condition = (watch.monitor_id, watch.trigger.type.value, about.execution_id or "")
    return await Conditions(session).claim(condition, about.at)


async def _tell_endpoints(session: AsyncSession, found: Sequence[Happening]) -> None:
    endpoints = await EventEndpoints(session).enabled()
    targets = await Targets(session).of([row.id for row in endpoints])
    now = utcnow()
    rows = [
        event_row(endpoint, targets[endpoint.id][0], about, now)
        for about in found
        if is_event(about.kind)
        for endpoint in endpoints
        if matches(about.kind, endpoint.events) and targets[endpoint.id][0].disabled_at is None
    ]
    await Deliveries(session).add_many(rows)
