"""Reading jobs; whoever starts long work adds them."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.jobs import Jobs
from store.tables import JobRow


async def get(session: AsyncSession, job_id: str) -> JobRow:
    row = await Jobs(session).get(job_id)
    if row is None:
        raise NotFound("There is no such job.")
    return row
