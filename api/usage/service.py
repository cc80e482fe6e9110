"""Use cases of usage and of the conservation ledger."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Invalid, Problem
from runtime.clock import utcnow
from store.conservation import Books, Conservation
from store.customers import Customers
from store.paging import Page
from store.removed import hour_of
from store.usage import HOUR, Usage, UsageFilter, UsageView

USUAL_DAYS = 30
USUAL_HOURS = timedelta(hours=24)
LONGEST = timedelta(days=7)


class CustomerBooks(NamedTuple):
    hour: datetime
    customer_id: str
    customer_name: str | None
    books: Books

    @property
    def key(self) -> str:
        return f"{self.hour.isoformat()} {self.customer_id}"


async def find(
    session: AsyncSession, since: date | None, until: date | None, customer_ids: Sequence[str], page: Page
) -> Sequence[UsageView]:
    until = until or utcnow().date()
    since = since if since is not None else until - timedelta(days=min(USUAL_DAYS - 1, (until - date.min).days))
    return await Usage(session).list(UsageFilter(since, until, customer_ids), page)


async def books(
    session: AsyncSession,
    since: datetime | None,
    until: datetime | None,
    customer_ids: Sequence[str],
    page: Page,
    *,
    unbalanced: bool,
) -> Sequence[CustomerBooks]:
    """The newest hour first. Raises Invalid for a range that is too long."""
    end = _within(until or utcnow())
    begin = hour_of(_within(since) if since is not None else end - USUAL_HOURS)
    if end - begin > LONGEST + HOUR:
        raise Invalid("The range is too long.", [Problem("#/query/from", "range_too_long", "Ask for 7 days at most.")])
    found = await Conservation(session).books(begin, hour_of(end - timedelta(microseconds=1)) + HOUR, customer_ids)
    wanted = [
        CustomerBooks(hour, customer_id, None, each)
        for (hour, customer_id), each in found.items()
        if each.imbalance or not unbalanced
    ]
    behind = [each for each in wanted if page.after is None or each.key < page.after]
    shown = sorted(behind, key=_key, reverse=True)[: page.limit + 1]
    names = await Customers(session).names([each.customer_id for each in shown])
    return [each._replace(customer_name=names.get(each.customer_id)) for each in shown]


def _within(at: datetime) -> datetime:
    """Where hours can be added and taken away."""
    return min(max(at, datetime(2000, 1, 1, tzinfo=UTC)), datetime(9000, 1, 1, tzinfo=UTC))


def _key(books: CustomerBooks) -> str:
    return books.key
