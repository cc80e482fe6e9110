"""Every query about log lines, those of executions and all others. Their order is that of their ids."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, insert, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import first_id
from store.dialect import connection_of, dialect_of, table_of
from store.live import AT_ONCE, Owners, owned_by
from store.log_search import found_by_text
from store.paging import Page, paged
from store.tables import ExecutionRow, InstanceFlowRow, LogRow

INSERT = insert(table_of(LogRow))
IS_TEST = select(ExecutionRow.is_test).where(ExecutionRow.id == LogRow.execution_id).scalar_subquery()

# An id is made when its line is written: a little after the line's time, and at most a step's longest timeout after it.
CLOCKS_DIFFER = timedelta(minutes=1)
LONGEST_UNWRITTEN = timedelta(hours=25)

SETTLING = timedelta(seconds=5)
LONGEST_WRITER = timedelta(minutes=10)  # whoever writes for longer is waited for no more
OLDEST_WRITER = text(
    "SELECT min(xact_start) FROM pg_stat_activity"
    " WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
)

# As in the tables, word for word: SQLite uses a partial index only where the query says its very condition.
ERROR, EXECUTION = 4, "execution"
ERRORS: ColumnElement[bool] = literal_column("logs.severity >= 4")
OTHERS: ColumnElement[bool] = literal_column("logs.type <> 'execution'")
A_TEST: ColumnElement[bool] = literal_column("executions.is_test")


@dataclass(frozen=True)
class LogFilter:
    """`q` is any part of a message. Several values of one name are alternatives, names are combined."""

    q: str | None = None
    severities: Sequence[int] = ()
    min_severity: int | None = None
    after: datetime | None = None
    before: datetime | None = None
    customer_ids: Sequence[str] = ()
    instance_ids: Sequence[str] = ()
    flow_ids: Sequence[str] = ()
    execution_ids: Sequence[str] = ()
    types: Sequence[str] = ()
    steps: Sequence[str] = ()
    is_test: bool | None = None


@dataclass(frozen=True)
class LogLine:
    row: LogRow
    is_test: bool

    @property
    def id(self) -> str:
        return self.row.id


@dataclass(frozen=True)
class Span:
    """Lines above one id and below another."""

    above: str | None = None
    below: str | None = None


ALL = Span()


class Logs:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def add_many(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Each line names the columns of LogRow that it has, all lines the same ones."""
        if lines:
            await connection_of(self.session).execute(INSERT, lines)

    async def get(self, log_id: str) -> LogLine | None:
        found = await self._lines(select(LogRow, IS_TEST).where(LogRow.id == log_id))
        return found[0] if found else None

    async def list(
        self, wanted: LogFilter, page: Page, span: Span = ALL, *, ascending: bool = False
    ) -> Sequence[LogLine]:
        return await self._lines(paged(await self.query(wanted, span), LogRow.id, page, ascending=ascending))

    async def of_ids(self, ids: Sequence[str], owners: Owners | None) -> Sequence[LogLine]:
        """In their order."""
        found: list[LogLine] = []
        for start in range(0, len(ids), AT_ONCE):
            query = select(LogRow, IS_TEST).where(LogRow.id.in_(ids[start : start + AT_ONCE]), *owned_by(owners))
            found += await self._lines(query.order_by(LogRow.id))
        return found

    async def around(self, line: LogLine, wanted: LogFilter, count: int) -> Sequence[LogLine]:
        """The line itself with up to so many before and after it that the filter lets through, newest first."""
        page = Page(count - 1)
        later = await self.list(wanted, page, Span(above=line.id), ascending=True) if count else []
        earlier = await self.list(wanted, page, Span(below=line.id)) if count else []
        return [*reversed(later), line, *earlier]

    async def settled(self, now: datetime) -> str:
        """An id below which no further line will turn up, although lines are committed later than their ids are made.

        Ask before the snapshot that lines are read in: who commits between the two is seen by neither otherwise.
        Writers on other machines may have another time by some seconds. On SQLite they write one after another.
        """
        settled = now - SETTLING
        if dialect_of(self.session) == "postgresql":
            began: datetime | None = await self.session.scalar(OLDEST_WRITER)
            if began is not None:
                settled = max(min(settled, began - SETTLING), now - LONGEST_WRITER)
        return first_id("log", settled)

    async def query(self, wanted: LogFilter, span: Span = ALL) -> Select[Any]:
        query = select(LogRow, IS_TEST).where(*_conditions(wanted))
        if wanted.q:
            query = query.where(await found_by_text(self.session, wanted.q))
        if span.above is not None:
            query = query.where(LogRow.id > span.above)
        if span.below is not None:
            query = query.where(LogRow.id < span.below)
        return query

    async def _lines(self, query: Select[Any]) -> Sequence[LogLine]:
        return [LogLine(row, bool(is_test)) for row, is_test in await self.session.execute(query)]


def _conditions(wanted: LogFilter) -> list[ColumnElement[bool]]:
    any_of = (
        (LogRow.customer_id, wanted.customer_ids),
        (LogRow.instance_id, wanted.instance_ids),
        (LogRow.instance_flow_id, wanted.flow_ids),
        (LogRow.execution_id, wanted.execution_ids),
        (LogRow.type, wanted.types),
        (LogRow.severity, wanted.severities),
        (LogRow.step, wanted.steps),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in any_of if values]
    if wanted.min_severity is not None:
        conditions.append(LogRow.severity >= wanted.min_severity)
    if wanted.after is not None:
        conditions += [LogRow.timestamp >= wanted.after, LogRow.id >= first_id("log", wanted.after - CLOCKS_DIFFER)]
    if wanted.before is not None:
        conditions += [LogRow.timestamp < wanted.before, LogRow.id < first_id("log", wanted.before + LONGEST_UNWRITTEN)]
    if wanted.is_test is not None:
        conditions.append(_of_a_test() if wanted.is_test else _of_no_test())
    return [*conditions, *_known_to_indexes(wanted)]


def _known_to_indexes(wanted: LogFilter) -> list[ColumnElement[bool]]:
    """What follows from the other conditions, and what the database does not conclude by itself."""
    known: list[ColumnElement[bool]] = []
    if min(wanted.severities, default=0) >= ERROR or (wanted.min_severity or 0) >= ERROR:
        known.append(ERRORS)
    if wanted.types and EXECUTION not in wanted.types:
        known.append(OTHERS)
    if len(wanted.flow_ids) == 1 and not wanted.instance_ids:
        of_flow = select(InstanceFlowRow.instance_id).where(InstanceFlowRow.id == wanted.flow_ids[0])
        known.append(LogRow.instance_id == of_flow.scalar_subquery())
    return known


def _of_a_test() -> ColumnElement[bool]:
    return LogRow.execution_id.in_(select(ExecutionRow.id).where(A_TEST))


def _of_no_test() -> ColumnElement[bool]:
    """Also lines of no execution. Line by line: most of them are."""
    return ~exists().where(ExecutionRow.id == LogRow.execution_id, ExecutionRow.is_test)
