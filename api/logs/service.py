"""Searching log lines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Invalid, NotFound, Problem
from domain.ids import made_at
from runtime.clock import utcnow
from store.engine import Database
from store.logs import LogFilter, LogLine, Logs, Span
from store.paging import Page


@dataclass(frozen=True)
class Asked:
    """`after_id`: lines that were written after that one, and are `settled`. `surrounding`: those beside that one."""

    wanted: LogFilter
    ascending: bool = False
    after_id: str | None = None
    surrounding: str | None = None
    settled: str | None = None


async def prepared(database: Database, asked: Asked) -> Asked:
    """Before anything is read in the session that the lines are then found with."""
    if asked.after_id is None:
        return asked
    async with database.glance() as session:
        return replace(asked, settled=await Logs(session).settled(utcnow()))


async def find(session: AsyncSession, asked: Asked, page: Page) -> Sequence[LogLine]:
    """Raises Invalid for what does not go together, NotFound for a line that is not there."""
    if asked.surrounding is not None:
        return await _surrounding(session, asked, asked.surrounding, page)
    logs = Logs(session)
    if asked.after_id is None:
        return await logs.list(asked.wanted, page, ascending=asked.ascending)
    if not asked.ascending:
        raise _invalid("#/query/order", "What comes after a line comes oldest first.")
    ensure_log_id(asked.after_id, "#/query/after_id")
    return await logs.list(asked.wanted, page, Span(asked.after_id, asked.settled), ascending=True)


async def _surrounding(session: AsyncSession, asked: Asked, log_id: str, page: Page) -> Sequence[LogLine]:
    if asked.after_id is not None or page.after is not None:
        raise _invalid("#/query/surrounding", "Goes with neither after_id nor a cursor.")
    line = await Logs(session).get(log_id)
    if line is None:
        raise NotFound("There is no such log line.")
    found = await Logs(session).around(line, _beside(line, asked.wanted), (page.limit - 1) // 2)
    return found[::-1] if asked.ascending else found


def _beside(line: LogLine, wanted: LogFilter) -> LogFilter:
    """Of the same execution, else of the same instance, unless the filter says whose lines it wants."""
    if wanted.customer_ids or wanted.instance_ids or wanted.flow_ids or wanted.execution_ids:
        return wanted
    if line.row.execution_id is not None:
        return replace(wanted, execution_ids=[line.row.execution_id])
    return replace(wanted, instance_ids=[line.row.instance_id]) if line.row.instance_id is not None else wanted


def ensure_log_id(text: str, pointer: str) -> None:
    try:
        made_at(text)
    except ValueError:
        raise _invalid(pointer, "Is not the id of a log line.") from None


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, [Problem(pointer, "invalid_value", detail)])
