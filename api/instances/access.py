"""Finding an instance, and whether it may still be changed."""

from sqlalchemy.ext.asyncio import AsyncSession

from api.etags import Precondition
from domain.errors import Conflict, NotFound
from store.instances import Instances
from store.tables import InstanceRow


async def get(session: AsyncSession, instance_id: str, *, for_update: bool = False) -> InstanceRow:
    row = await Instances(session).get(instance_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such instance.")
    return row


async def changeable(session: AsyncSession, instance_id: str, precondition: Precondition | None = None) -> InstanceRow:
    """Locked until the transaction ends. Raises VersionConflict, and Conflict for an instance on its way out."""
    row = await get(session, instance_id, for_update=True)
    (precondition or Precondition()).ensure(row.revision)
    ensure_stays(row)
    return row


def ensure_stays(row: InstanceRow) -> None:
    """Raises Conflict for an instance on its way out."""
    if row.deleting:
        raise Conflict("The instance is being deleted.")
