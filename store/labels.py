"""Which labels are in use, and how often: what a person is offered while typing one."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import TableValuedAlias, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from store.dialect import dialect_of
from store.paging import Page
from store.tables import CustomerRow, InstanceRow, IntegrationRow

LabelColumn = InstrumentedAttribute[list[str]]
COLUMNS: dict[str, LabelColumn] = {
    "customers": CustomerRow.labels,
    "integrations": IntegrationRow.labels,
    "instances": InstanceRow.labels,
}


@dataclass(frozen=True)
class LabelUse:
    label: str
    count: int


class Labels:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def _each(self, column: LabelColumn) -> TableValuedAlias:
        if dialect_of(self.session) == "postgresql":
            return func.jsonb_array_elements_text(column).table_valued("value", joins_implicitly=True)
        return func.json_each(column).table_valued("value", joins_implicitly=True)

    async def list(self, resource: str, beginning: str, page: Page) -> Sequence[LabelUse]:
        """In alphabetical order; the page's key is the label."""
        column = COLUMNS[resource]
        label = self._each(column).c.value
        query = select(label, func.count()).select_from(column.class_).group_by(label).order_by(label)
        if beginning:
            query = query.where(label.startswith(beginning, autoescape=True))
        if page.after is not None:
            query = query.where(label > page.after)
        return [LabelUse(*row) for row in await self.session.execute(query.limit(page.limit + 1))]
