"""`/v1/logs`."""

from typing import Annotated

from fastapi import Query

from api.deps import PagerDep, ResourcesDep, Session
from api.logs import service
from api.logs.schemas import LogQuery, LogRead
from api.paging import Listing
from api.problems import refusals
from api.routing import requires, v1_router

router = v1_router("logs")


@router.get("/logs", responses=refusals({404: "There is no such line."}))
@requires("read")
async def list_(
    query: Annotated[LogQuery, Query()], session: Session, resources: ResourcesDep, pager: PagerDep
) -> Listing[LogRead]:
    """Search log lines, newest first."""
    asked = await service.prepared(resources.database, query.asked())
    lines = await service.find(session, asked, pager.page)
    return pager.listing(lines, LogRead.of, lambda line: line.id)
