"""Log lines as they come."""

from collections.abc import Collection, Sequence

from api.live.recent import Recent
from runtime.clock import utcnow
from store.engine import Database
from store.live import Live, Owners
from store.logs import LogFilter, LogLine, Logs


class LineSource:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent = Recent()

    async def begin(self) -> None:
        self._recent, now = Recent(), utcnow()
        async with self._database.snapshot() as session:
            self._recent.looked(now, await Live(session).log_ids(self._recent.since))

    async def look(self, wants: Collection[LogFilter]) -> Sequence[LogLine]:
        now = utcnow()
        async with self._database.snapshot() as session:
            new = self._recent.new(await Live(session).log_ids(self._recent.since))
            lines = await Logs(session).of_ids(new, owners_of(wants))
        self._recent.looked(now, new)
        return lines


def owners_of(wants: Collection[LogFilter]) -> Owners | None:
    """None as soon as one of them is about all owners."""
    if not all(want.customer_ids or want.instance_ids or want.execution_ids for want in wants):
        return None
    return Owners(
        frozenset(each for want in wants for each in want.customer_ids),
        frozenset(each for want in wants for each in want.instance_ids),
        frozenset(each for want in wants for each in want.execution_ids),
    )


def lets_through(wanted: LogFilter, line: LogLine) -> bool:
    """As the filter's conditions do in the database, its times aside."""
    row = line.row
    any_of = (
        (row.customer_id, wanted.customer_ids),
        (row.instance_id, wanted.instance_ids),
        (row.instance_flow_id, wanted.flow_ids),
        (row.execution_id, wanted.execution_ids),
        (row.type, wanted.types),
        (row.severity, wanted.severities),
        (row.step, wanted.steps),
    )
    return (
        all(value in values for value, values in any_of if values)
        and row.severity >= (wanted.min_severity or 0)
        and wanted.is_test in (None, line.is_test)
        and (wanted.q or "").lower() in row.message.lower()
    )
