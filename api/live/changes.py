"""What has become of executions and instances lately. It says what is, not every state on the way there."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.live.recent import Recent
from runtime.clock import utcnow
from store.engine import Database
from store.live import ExecutionState, Live, Owners
from store.tables import EventRow


@dataclass(frozen=True)
class ChangeFilter:
    """A kind is `execution.failed` and the like, or its noun alone."""

    customer_ids: Sequence[str] = ()
    instance_ids: Sequence[str] = ()
    kinds: Sequence[str] = ()


@dataclass(frozen=True)
class Change:
    kind: str
    at: datetime
    customer_id: str | None
    instance_id: str | None
    what: ExecutionState | EventRow


class ChangeSource:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent = Recent()

    async def begin(self) -> None:
        self._recent, now = Recent(), utcnow()
        async with self._database.snapshot() as session:
            executions = await Live(session).changed_executions(self._recent.since)
            events = await Live(session).event_ids(self._recent.since)
        self._recent.looked(now, [*executions, *events])

    async def look(self, wants: Collection[ChangeFilter]) -> Sequence[Change]:
        now, owners = utcnow(), owners_of(wants)
        async with self._database.snapshot() as session:
            live = Live(session)
            executions = self._recent.new(await live.changed_executions(self._recent.since))
            events = self._recent.new(await live.event_ids(self._recent.since))
            states = await live.executions([each.id for each in executions], owners)
            rows = await live.events(events, owners)
        self._recent.looked(now, [*executions, *events])
        return in_order([*map(of_execution, states), *map(of_event, rows)])


def owners_of(wants: Collection[ChangeFilter]) -> Owners | None:
    """None as soon as one of them is about all owners."""
    if not all(want.customer_ids or want.instance_ids for want in wants):
        return None
    return Owners(
        frozenset(each for want in wants for each in want.customer_ids),
        frozenset(each for want in wants for each in want.instance_ids),
    )


def of_execution(state: ExecutionState) -> Change:
    kind = f"execution.{state.status}"
    return Change(kind, state.updated_at, state.customer_id, state.instance_id, state)


def of_event(row: EventRow) -> Change:
    return Change(row.action, row.at, row.customer_id, row.instance_id, row)


def in_order(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: change.at)


def lets_through(wanted: ChangeFilter, change: Change) -> bool:
    noun = change.kind.partition(".")[0]
    return (
        (not wanted.customer_ids or change.customer_id in wanted.customer_ids)
        and (not wanted.instance_ids or change.instance_id in wanted.instance_ids)
        and (not wanted.kinds or change.kind in wanted.kinds or noun in wanted.kinds)
    )
