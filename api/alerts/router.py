"""`/v1/alerts`."""

from typing import Annotated

from fastapi import Query

from api import targets
from api.alerts import service
from api.alerts.schemas import AlertDetail, AlertQuery, AlertRead
from api.deps import PagerDep, Session
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("alerts")


@router.get("/alerts")
@requires("read")
async def list_(query: Annotated[AlertQuery, Query()], session: Session, pager: PagerDep) -> Listing[AlertRead]:
    """List alerts, newest first: one for each firing of a monitor."""
    rows = await service.find(session, query.wanted(), pager.page)
    return pager.listing(rows, AlertRead.of, lambda row: row.id)


@router.get("/alerts/{alert_id}")
@requires("read")
async def get(alert_id: str, session: Session) -> AlertDetail:
    """Read an alert, with the messages to its targets and their attempts."""
    row = await service.get(session, alert_id)
    return AlertDetail.with_deliveries(row, await targets.of_alert(session, row.id))
