"""`/v1/logs`."""

from typing import Annotated

from fastapi import Query

from api.deps import PagerDep, Session
from api.logs import service
from api.logs.schemas import LogQuery, LogRead
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("logs")


@router.get("/logs")
@requires("read")
async def list_(query: Annotated[LogQuery, Query()], session: Session, pager: PagerDep) -> Listing[LogRead]:
    """Search log lines, newest first."""
    rows = await service.find(session, query.wanted(), pager.page)
    return pager.listing(rows, LogRead.of, lambda row: row.id)
