"""`/v1/maintenance_windows`."""

from api.deps import CallerDep, PagerDep, Session
from api.maintenance import service
from api.maintenance.schemas import MaintenanceWindowCreate, MaintenanceWindowRead
from api.paging import Listing
from api.routing import requires, v1_router

router = v1_router("maintenance_windows")


@router.post("/maintenance_windows", status_code=201)
@requires("write")
async def create(body: MaintenanceWindowCreate, session: Session, caller: CallerDep) -> MaintenanceWindowRead:
    """Announce a maintenance: alerts of that time are recorded as suppressed, and not sent."""
    row = await service.create(
        session, caller.principal, body.from_, body.to, body.customer_id, body.instance_id, body.note
    )
    return MaintenanceWindowRead.of(row)


@router.get("/maintenance_windows")
@requires("read")
async def list_(session: Session, pager: PagerDep) -> Listing[MaintenanceWindowRead]:
    """List maintenance windows, newest first. They are forgotten 30 days after their end."""
    return pager.listing(await service.find(session, pager.page), MaintenanceWindowRead.of, lambda row: row.id)


@router.get("/maintenance_windows/{window_id}")
@requires("read")
async def get(window_id: str, session: Session) -> MaintenanceWindowRead:
    """Read a maintenance window."""
    return MaintenanceWindowRead.of(await service.get(session, window_id))


@router.delete("/maintenance_windows/{window_id}", status_code=204)
@requires("write")
async def delete(window_id: str, session: Session, caller: CallerDep) -> None:
    """End or call off a maintenance."""
    await service.delete(session, caller.principal, window_id)
