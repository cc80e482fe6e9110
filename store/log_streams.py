"""Every query about log streams: what there is, what is due to be sent, how far each of them is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.log_streams import Line
from domain.logs import SEVERITIES
from store.dialect import affected
from store.logs import LogFilter, Logs, Span
from store.paging import Page, paged
from store.tables import CustomerRow, InstanceFlowRow, InstanceRow, IntegrationRow, LogRow, LogStreamRow

NAMES = (
    InstanceRow.name,
    IntegrationRow.id,
    IntegrationRow.name,
    InstanceFlowRow.name,
    CustomerRow.name,
    CustomerRow.external_id,
)


@dataclass(frozen=True)
class LogStreamFilter:
    enabled: bool | None = None
    failing: bool | None = None
    customer_ids: Sequence[str] = ()
    instance_ids: Sequence[str] = ()


class LogStreams:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: LogStreamRow) -> None:
        self.session.add(row)

    async def get(self, stream_id: str, *, for_update: bool = False) -> LogStreamRow | None:
        return await self.session.get(LogStreamRow, stream_id, with_for_update=for_update)

    async def by_name(self, name: str) -> LogStreamRow | None:
        return await self.session.scalar(select(LogStreamRow).where(LogStreamRow.name == name))

    async def count(self) -> int:
        return await self.session.scalar(select(func.count()).select_from(LogStreamRow)) or 0

    async def list(self, wanted: LogStreamFilter, page: Page) -> Sequence[LogStreamRow]:
        query = select(LogStreamRow)
        if wanted.enabled is not None:
            query = query.where(LogStreamRow.enabled.is_(wanted.enabled))
        if wanted.failing is not None:
            failing = LogStreamRow.failing_since
            query = query.where(failing.is_not(None) if wanted.failing else failing.is_(None))
        if wanted.customer_ids:
            query = query.where(LogStreamRow.customer_id.in_(wanted.customer_ids))
        if wanted.instance_ids:
            query = query.where(LogStreamRow.instance_id.in_(wanted.instance_ids))
        return (await self.session.scalars(paged(query, LogStreamRow.id, page))).all()

    async def delete(self, stream_id: str) -> None:
        await self.session.execute(delete(LogStreamRow).where(LogStreamRow.id == stream_id))

    async def forsaken(self, now: datetime, limit: int) -> Sequence[str]:
        """Those that no worker has looked at for longer than it had said."""
        unseen = or_(LogStreamRow.check_after.is_(None), LogStreamRow.check_after < now)
        query = select(LogStreamRow.id).where(LogStreamRow.enabled, unseen).order_by(LogStreamRow.id).limit(limit)
        return (await self.session.scalars(query)).all()

    async def lines(self, row: LogStreamRow, after: str, settled: str, limit: int) -> Sequence[Line]:
        """The next ones that it wants, oldest first."""
        wanted = LogFilter(
            severities=[SEVERITIES.index(each) for each in SEVERITIES if each in row.severities],
            types=row.types,
            customer_ids=[row.customer_id] if row.customer_id else [],
            instance_ids=[row.instance_id] if row.instance_id else [],
        )
        query = (await Logs(self.session).query(wanted, Span(after, settled))).add_columns(*NAMES)
        query = (
            query.outerjoin(InstanceRow, InstanceRow.id == LogRow.instance_id)
            .outerjoin(IntegrationRow, IntegrationRow.id == InstanceRow.integration_id)
            .outerjoin(InstanceFlowRow, InstanceFlowRow.id == LogRow.instance_flow_id)
            .outerjoin(CustomerRow, CustomerRow.id == LogRow.customer_id)
        )
        rows = await self.session.execute(query.order_by(LogRow.id).limit(limit))
        return [_line(log, is_test, *names) for log, is_test, *names in rows]

    async def move(self, stream_id: str, held: str, **values: Any) -> bool:
        """Of one that nobody else has moved on meanwhile."""
        statement = update(LogStreamRow).where(LogStreamRow.id == stream_id, LogStreamRow.cursor == held)
        statement = statement.values(**values).execution_options(synchronize_session=False)
        return bool(affected(await self.session.execute(statement)))


def _line(
    row: LogRow,
    is_test: bool | None,
    instance_name: str | None,
    integration_id: str | None,
    integration_name: str | None,
    flow_name: str | None,
    customer_name: str | None,
    customer_external_id: str | None,
) -> Line:
    return Line(
        id=row.id,
        timestamp=row.timestamp,
        severity=SEVERITIES[row.severity],
        message=row.message,
        type=row.type,
        step=row.step,
        attempt=row.attempt,
        is_test=bool(is_test),
        execution_id=row.execution_id,
        flow_id=row.instance_flow_id,
        flow_name=flow_name,
        instance_id=row.instance_id,
        instance_name=instance_name,
        integration_id=integration_id,
        integration_name=integration_name,
        customer_id=row.customer_id,
        customer_external_id=customer_external_id,
        customer_name=customer_name,
    )
