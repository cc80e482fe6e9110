"""Every query about messages to targets, and their attempts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.notifications import DeliveryState
from store.dialect import table_of
from store.paging import Page, paged
from store.tables import CustomerRow, DeliveryAttemptRow, DeliveryRow


class Deliveries:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def add_many(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """All columns of each."""
        if rows:
            await self.session.execute(insert(table_of(DeliveryRow)), list(rows))

    async def get(self, delivery_id: str, *, for_update: bool = False) -> DeliveryRow | None:
        return await self.session.get(DeliveryRow, delivery_id, with_for_update=for_update, populate_existing=True)

    async def of_alert(self, alert_id: str) -> Sequence[DeliveryRow]:
        query = select(DeliveryRow).where(DeliveryRow.alert_id == alert_id).order_by(DeliveryRow.id)
        return (await self.session.scalars(query)).all()

    async def of_endpoint(self, endpoint_id: str, states: Sequence[str], page: Page) -> Sequence[DeliveryRow]:
        query = select(DeliveryRow).where(DeliveryRow.endpoint_id == endpoint_id)
        if states:
            query = query.where(DeliveryRow.state.in_(states))
        return (await self.session.scalars(paged(query, DeliveryRow.id, page))).all()

    async def attempts(self, delivery_ids: Sequence[str]) -> dict[str, list[DeliveryAttemptRow]]:
        query = select(DeliveryAttemptRow).where(DeliveryAttemptRow.delivery_id.in_(delivery_ids))
        found: dict[str, list[DeliveryAttemptRow]] = {each: [] for each in delivery_ids}
        for row in await self.session.scalars(query.order_by(DeliveryAttemptRow.number)):
            found[row.delivery_id].append(row)
        return found

    def add_attempt(self, row: DeliveryAttemptRow) -> None:
        self.session.add(row)

    async def to_start(self, now: datetime, late: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Those due that no workflow has begun, or whose workflow is overdue since `late`; oldest first."""
        unbegun = DeliveryRow.handed_over_at.is_(None)
        query = select(DeliveryRow).where(_PENDING, DeliveryRow.due_at <= now)
        query = query.where(or_(unbegun, DeliveryRow.due_at < late))
        return (await self.session.scalars(query.order_by(DeliveryRow.due_at).limit(limit))).all()

    async def mark_handed_over(self, delivery_ids: Sequence[str], now: datetime) -> None:
        begun = update(DeliveryRow).where(DeliveryRow.id.in_(delivery_ids)).values(handed_over_at=now)
        await self.session.execute(begun.execution_options(synchronize_session=False))

    async def purge(self, before: datetime, limit: int) -> None:
        """What ended before then, or is about a customer that is gone."""
        gone = and_(DeliveryRow.customer_id.is_not(None), ~exists().where(CustomerRow.id == DeliveryRow.customer_id))
        old: ColumnElement[bool] = DeliveryRow.ended_at < before
        query = select(DeliveryRow.id).where(DeliveryRow.ended_at.is_not(None), or_(old, gone))
        await self._delete((await self.session.scalars(query.limit(limit))).all())

    async def delete_of_alerts(self, alert_ids: Sequence[str]) -> None:
        query = select(DeliveryRow.id).where(DeliveryRow.alert_id.in_(alert_ids))
        await self._delete((await self.session.scalars(query)).all())

    async def _delete(self, ids: Sequence[str]) -> None:
        await self.session.execute(delete(DeliveryAttemptRow).where(DeliveryAttemptRow.delivery_id.in_(ids)))
        await self.session.execute(delete(DeliveryRow).where(DeliveryRow.id.in_(ids)))


_PENDING = DeliveryRow.state == DeliveryState.PENDING.value
