"""Every query about events: who did what, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.logs import SEVERITIES
from store.dialect import insert_ignore
from store.paging import Page, paged
from store.tables import EventRow, LogRow


@dataclass(frozen=True)
class EventFilter:
    """Several values of one name are alternatives, names are combined. An action may be a noun: `instance` is
    `instance.created`, `instance.deployed` and so on."""

    principals: Sequence[str] = ()
    actions: Sequence[str] = ()
    object_ids: Sequence[str] = ()
    instance_ids: Sequence[str] = ()
    customer_ids: Sequence[str] = ()
    after: datetime | None = None
    before: datetime | None = None


TELL_THEMSELVES = ("connection.", "execution.")  # in lines of their own


class Events:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: EventRow) -> None:
        """What is done to an instance stands in its log, too, for as long as there is one."""
        self.session.add(row)
        if row.instance_id is not None and not row.action.startswith(TELL_THEMSELVES):
            self.session.add(_line(row))

    async def add_once(self, values: dict[str, Any]) -> bool:
        """False: one of this id is there."""
        return bool(await insert_ignore(self.session, EventRow, values, ["id"]))

    async def list(self, wanted: EventFilter, page: Page) -> Sequence[EventRow]:
        query = select(EventRow).where(*_conditions(wanted))
        return (await self.session.scalars(paged(query, EventRow.id, page))).all()


def _conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    any_of = (
        (EventRow.principal, wanted.principals),
        (EventRow.object_id, wanted.object_ids),
        (EventRow.instance_id, wanted.instance_ids),
        (EventRow.customer_id, wanted.customer_ids),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in any_of if values]
    if wanted.actions:
        conditions.append(or_(*(_is_action(action) for action in wanted.actions)))
    if wanted.after is not None:
        conditions.append(EventRow.at >= wanted.after)
    if wanted.before is not None:
        conditions.append(EventRow.at < wanted.before)
    return conditions


def _is_action(action: str) -> ColumnElement[bool]:
    return EventRow.action == action if "." in action else EventRow.action.startswith(f"{action}.", autoescape=True)


def _line(row: EventRow) -> LogRow:
    details = ", ".join(f"{name}: {_shown(value)}" for name, value in row.details.items() if value is not None)
    noun, _, verb = row.action.partition(".")
    told = f"{noun.capitalize()} {verb} by {row.principal}".replace("_", " ")
    return LogRow(
        id=row.id.replace("evt", "log", 1),
        timestamp=row.at,
        severity=SEVERITIES.index("info"),
        message=f"{told} ({details})" if details else told,
        type="management",
        instance_id=row.instance_id,
        customer_id=row.customer_id,
    )


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
