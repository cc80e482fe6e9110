"""`/v1/jobs`."""

from api.deps import Session
from api.jobs import service
from api.jobs.schemas import JobRead
from api.routing import requires, v1_router

router = v1_router("jobs")


@router.get("/jobs/{job_id}")
@requires("read")
async def get(job_id: str, session: Session) -> JobRead:
    """Read how far long work has come."""
    return JobRead.of(await service.get(session, job_id))
