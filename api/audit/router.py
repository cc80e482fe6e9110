"""`/v1/audit`."""

from typing import Annotated

from fastapi import Query

from api.audit import service
from api.audit.schemas import AuditQuery, AuditRead
from api.deps import PagerDep, Session
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("audit")


@router.get("/audit")
@requires("admin")
async def list_(query: Annotated[AuditQuery, Query()], session: Session, pager: PagerDep) -> Listing[AuditRead]:
    """List every write: who did what, to what and when; newest first. It outlives what it is about."""
    rows = await service.find(session, query.wanted(), pager.page)
    return pager.listing(rows, AuditRead.of, lambda row: row.id)
