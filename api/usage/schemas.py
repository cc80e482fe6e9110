"""What usage and the conservation ledger look like on the wire."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, Field

from api.shapes import Filter, Instant
from store.conservation import Books
from store.usage import UsageView

DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _day(value: Any) -> Any:
    if isinstance(value, str) and not DAY.fullmatch(value):
        raise ValueError("must be a day such as 2026-03-01")
    return value


Day = Annotated[date, BeforeValidator(_day)]


class UsageQuery(Filter):
    from_: Day | None = Field(None, alias="from", description="The first day, in UTC. Default: 29 days before the last")
    to: Day | None = Field(None, description="The last day. Default: today")
    customer_id: list[str] = []


class ConservationQuery(Filter):
    from_: Instant | None = Field(None, alias="from", description="In whole hours. Default: 24 hours before `to`")
    to: Instant | None = Field(None, description="Default: now. At most 7 days after `from`")
    customer_id: list[str] = []
    unbalanced: bool = Field(False, description="Only where something is missing")


class CustomerRead(BaseModel):
    id: str
    name: str | None = Field(description="null: it has been deleted since")


class OutcomesRead(BaseModel):
    succeeded: int
    failed: int
    canceled: int
    skipped: int


class UsageRead(BaseModel):
    """One customer's day."""

    day: date
    customer: CustomerRead
    enabled_instances: float = Field(description="On average over the hours; paused and unconfigured ones do not count")
    executions: OutcomesRead = Field(description="Those that ended on this day, without tests")
    test_executions: int
    steps: int = Field(description="Carried out by all of these, in all attempts")
    updated_at: Instant

    @classmethod
    def of(cls, view: UsageView) -> Self:
        row = view.row
        return cls(
            day=row.day,
            customer=CustomerRead(id=row.customer_id, name=view.customer_name),
            enabled_instances=round(row.enabled_instances, 4),
            executions=OutcomesRead(
                succeeded=row.succeeded, failed=row.failed, canceled=row.canceled, skipped=row.skipped
            ),
            test_executions=row.tests,
            steps=row.steps,
            updated_at=row.updated_at,
        )


class BooksRead(BaseModel):
    """What was accepted of one customer in one hour, and where it is now."""

    hour: Instant
    customer: CustomerRead
    accepted: int
    ended: int
    removed: int = Field(description="Of the ended: those whose rows are gone, by retention or a delete")
    in_flight: int
    held: int = Field(description="By a pause, or behind others in a queue")
    imbalance: int = Field(description="accepted − ended − in_flight − held: 0, or something is wrong")
    settled: bool = Field(description="What was accepted is on record, and does not follow from the rows any more")

    @classmethod
    def of(cls, hour: datetime, customer: CustomerRead, books: Books) -> Self:
        return cls(
            hour=hour,
            customer=customer,
            accepted=books.accepted,
            ended=books.ended,
            removed=books.removed,
            in_flight=books.in_flight,
            held=books.held,
            imbalance=books.imbalance,
            settled=books.settled,
        )
