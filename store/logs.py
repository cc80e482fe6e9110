"""Every query about log lines, those of executions and all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import contains_text, table_of
from store.paging import Page, paged
from store.tables import LogRow


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


class Logs:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def add_many(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Each line names the columns of LogRow that it has, all lines the same ones."""
        if lines:
            await self.session.execute(insert(table_of(LogRow)), lines)

    async def list(self, wanted: LogFilter, page: Page) -> Sequence[LogRow]:
        query = select(LogRow).where(*_conditions(wanted))
        return (await self.session.scalars(paged(query, LogRow.id, page))).all()


def _conditions(wanted: LogFilter) -> list[ColumnElement[bool]]:
    any_of = (
        (LogRow.customer_id, wanted.customer_ids),
        (LogRow.instance_id, wanted.instance_ids),
        (LogRow.instance_flow_id, wanted.flow_ids),
        (LogRow.execution_id, wanted.execution_ids),
        (LogRow.type, wanted.types),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in any_of if values]
    if wanted.severities:
        conditions.append(LogRow.severity.in_(wanted.severities))
    if wanted.min_severity is not None:
        conditions.append(LogRow.severity >= wanted.min_severity)
    if wanted.after is not None:
        conditions.append(LogRow.timestamp >= wanted.after)
    if wanted.before is not None:
        conditions.append(LogRow.timestamp < wanted.before)
    if wanted.q:
        conditions.append(contains_text(LogRow.message, wanted.q))
    return conditions
