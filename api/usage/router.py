"""`/v1/usage` and `/v1/conservation`."""

from typing import Annotated

from fastapi import Query

from api.deps import PagerDep, Session
from api.paging import Listing
from api.routing import requires, v1_router
from api.usage import service
from api.usage.schemas import BooksRead, ConservationQuery, CustomerRead, UsageQuery, UsageRead
from store.usage import key_of

router = v1_router("usage")


@router.get("/usage")
@requires("read")
async def list_(query: Annotated[UsageQuery, Query()], session: Session, pager: PagerDep) -> Listing[UsageRead]:
    """List what was used, per day and customer, the newest day first."""
    views = await service.find(session, query.from_, query.to, query.customer_id, pager.page)
    return pager.listing(views, UsageRead.of, key_of)


@router.get("/conservation")
@requires("read")
async def conservation(
    query: Annotated[ConservationQuery, Query()], session: Session, pager: PagerDep
) -> Listing[BooksRead]:
    """List what was accepted per hour and customer, and where it is: ended, in flight or held. Newest hour first."""
    found = await service.books(
        session, query.from_, query.to, query.customer_id, pager.page, unbalanced=query.unbalanced
    )
    return pager.listing(found, _read, lambda each: each.key)


def _read(each: service.CustomerBooks) -> BooksRead:
    return BooksRead.of(each.hour, CustomerRead(id=each.customer_id, name=each.customer_name), each.books)
