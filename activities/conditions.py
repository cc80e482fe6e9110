"""What monitors look for themselves: each condition fires when it is found, and again only after it has been over."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.alerting import Alerting, Firing
from activities.happenings import named
from domain.alerts import Happening
from domain.ids import made_at
from domain.monitors import ANYWHERE, Place, TriggerType, Watch, Watches
from runtime.clock import utcnow
from store.engine import Database
from store.monitors import Condition, Conditions, Monitors
from store.watching import Quiet, Running, Watching

BATCH = 1000
MOST_FIRINGS = 200  # in one transaction

Found = dict[Condition, Happening]


class ConditionLook:
    """One look. Bounded: it ends at its deadline, and the next one goes on."""

    def __init__(self, database: Database, alerting: Alerting, watches: Sequence[Watch], seconds: float) -> None:
        self._database = database
        self._alerting = alerting
        self._by_type = {each: [one for one in watches if one.trigger.type == each] for each in TriggerType}
        self._deadline = asyncio.get_running_loop().time() + seconds

    async def look(self, *, overdue: bool = True) -> int:
        """How many alerts were raised."""
        raised = await self._slow()
        raised += await self._backlog()
        raised += await self._books()
        return raised + (await self._overdue() if overdue else 0)

    async def _slow(self) -> int:
        """While they run; an execution that was faster than the look is told of by its end."""
        watches, raised, after = self._by_type[TriggerType.EXECUTION_SLOW], 0, ""
        if not watches:
            return 0
        now, by_place = utcnow(), Watches(watches)
        least = min(watch.trigger.seconds or 0.0 for watch in watches)
        while not self._is_late():
            async with self._database.snapshot() as session:
                rows = await Watching(session).running(now - timedelta(seconds=least), after, BATCH)
                held = await Conditions(session).held(TriggerType.EXECUTION_SLOW, [row.id for row in rows])
            found = {key: about for row in rows for key, about in _slow(row, by_place, now).items()}
            raised += await self._raise({key: about for key, about in found.items() if key not in held})
            if len(rows) < BATCH:
                break
            after = rows[-1].id
        return raised

    async def _overdue(self) -> int:
        watches, after = self._by_type[TriggerType.EXECUTION_OVERDUE], ""
        now, by_place, found = utcnow(), Watches(watches), Found()
        least = min((watch.trigger.minutes or 0.0 for watch in watches), default=0.0)
        where = None if ANYWHERE in by_place.by_id else sorted(by_place.by_id)
        while watches:
            if self._is_late():
                return 0  # of half a look nobody can tell what is over
            async with self._database.snapshot() as session:
                rows = await Watching(session).quiet(now - timedelta(minutes=least), where, after, BATCH)
            for row in rows:
                found |= _overdue(row, by_place, now)
            if len(rows) < BATCH:
                break
            after = rows[-1].flow_id
        return await self._changed(TriggerType.EXECUTION_OVERDUE, found)

    async def _backlog(self) -> int:
        watches = self._by_type[TriggerType.QUEUE_BACKLOG]
        now, by_place, found = utcnow(), Watches(watches), Found()
        if watches:
            async with self._database.snapshot() as session:
                rows = await Watching(session).waiting(min(watch.trigger.waiting or 1 for watch in watches))
            for row in rows:
                place = Place(row.customer_id, row.integration_id, row.instance_id, row.flow_id)
                for watch in by_place.at(place):
                    if row.number >= (watch.trigger.waiting or 1):
                        about = Happening("queue.backlog", now, place, details={"waiting": row.number})
                        found[_key(watch, row.flow_id)] = about
        return await self._changed(TriggerType.QUEUE_BACKLOG, found)

    async def _books(self) -> int:
        """As the hourly count has left them."""
        watches = self._by_type[TriggerType.BOOKS_UNBALANCED]
        now, by_place, found = utcnow(), Watches(watches), Found()
        if watches:
            async with self._database.snapshot() as session:
                rows = await Watching(session).unbalanced()
            for row in rows:
                place = Place(row.customer_id)
                about = Happening("books.unbalanced", now, place, details={"imbalance": row.imbalance})
                found |= {_key(watch, row.customer_id): about for watch in by_place.at(place)}
        return await self._changed(TriggerType.BOOKS_UNBALANCED, found)

    async def _changed(self, kind: TriggerType, found: Found) -> int:
        """`found` is all that there is now: what was held and is not found is over."""
        async with self._database.snapshot() as session:
            held = await Conditions(session).of_type(kind)
        over = [condition for condition in held if condition not in found]
        if over:
            async with self._database.transaction() as session:
                await Conditions(session).release(over)
        return await self._raise({key: about for key, about in found.items() if key not in held})

    async def _raise(self, found: Mapping[Condition, Happening]) -> int:
        raised, keys = 0, list(found)
        for at in range(0, len(keys), MOST_FIRINGS):
            async with self._database.transaction() as session:
                some = {key: found[key] for key in keys[at : at + MOST_FIRINGS]}
                raised += await self._raise_some(session, some)
        return raised

    async def _raise_some(self, session: AsyncSession, found: Mapping[Condition, Happening]) -> int:
        """Those that nobody else has raised meanwhile, of monitors that are still there."""
        monitors = await Monitors(session).locked(sorted({monitor_id for monitor_id, _, _ in found}))
        about = dict(zip(found, await named(session, list(found.values())), strict=True))
        firings = []
        for key, happening in about.items():
            monitor = monitors.get(key[0])
            trigger = self._trigger(key)
            if monitor is not None and await Conditions(session).claim(key, happening.at):
                firings.append(Firing(monitor, trigger, happening))
        return len(await self._alerting.fire(session, firings))

    def _trigger(self, key: Condition) -> Any:
        monitor_id, kind, _ = key
        return next(one.trigger for one in self._by_type[TriggerType(kind)] if one.monitor_id == monitor_id)

    def _is_late(self) -> bool:
        return asyncio.get_running_loop().time() > self._deadline


def _slow(row: Running, watches: Watches, now: datetime) -> Found:
    place = Place(row.customer_id, row.integration_id, row.instance_id, row.flow_id)
    seconds = (now - row.started_at).total_seconds()
    details = {"status": "running", "duration_seconds": round(seconds, 3)}
    about = Happening("execution.slow", now, place, execution_id=row.id, object_id=row.id, details=details)
    return {_key(watch, row.id): about for watch in watches.at(place) if seconds >= (watch.trigger.seconds or 0.0)}


def _overdue(row: Quiet, watches: Watches, now: datetime) -> Found:
    """Counted from the latest execution, and no earlier than it could run and somebody watched."""
    place = Place(row.customer_id, row.integration_id, row.instance_id, row.flow_id)
    moments = [row.since, *([row.deployed_at] if row.deployed_at else ()), *_made(row.latest_id)]
    found = {}
    for watch in watches.at(place):
        quiet = now - max(*moments, watch.since)
        if quiet >= timedelta(minutes=watch.trigger.minutes or 0.0):
            details = {"quiet_minutes": round(quiet / timedelta(minutes=1), 1)}
            found[_key(watch, row.flow_id)] = Happening("execution.overdue", now, place, details=details)
    return found


def _made(execution_id: str | None) -> list[datetime]:
    return [made_at(execution_id)] if execution_id else []


def _key(watch: Watch, subject_id: str) -> Condition:
    return watch.monitor_id, watch.trigger.type.value, subject_id
