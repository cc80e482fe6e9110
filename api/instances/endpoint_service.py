"""The address of an instance whose flows have one in common."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from activities.endpoints import rotate
from api.etags import Precondition
from api.instances import access
from api.instances.service import note, touch
from domain.errors import Conflict
from runtime.clock import utcnow


async def rotate_endpoint(
    session: AsyncSession, principal: str, instance_id: str, overlap: timedelta, precondition: Precondition
) -> None:
    """Another URL at once; the old one goes on for the overlap. Raises Conflict where each flow has its own."""
    row = await access.changeable(session, instance_id, precondition)
    if row.token is None:
        raise Conflict("The instance has no endpoint of its own: its version's endpoint mode is not instance_specific.")
    await rotate(session, row, overlap, utcnow())
    touch(row)
    note(session, principal, "instance.endpoint_rotated", row, overlap_seconds=overlap.total_seconds())
