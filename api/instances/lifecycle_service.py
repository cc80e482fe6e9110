"""An instance's life: may it be deployed, and its end."""

from sqlalchemy.ext.asyncio import AsyncSession

from activities.configuration import Configuration
from activities.connection_fields import ensure_connected
from activities.deploys import ensure_deployable
from activities.endpoints import bury
from activities.outbox import announce_removals
from activities.vault import Vault
from api.customers.service import DELETE_CUSTOMER, ensure_named
from api.etags import Precondition
from api.instances import access
from api.instances.service import note, touch
from domain.definitions.model import Definition
from domain.deliveries import ensure_not_suspended
from runtime.clock import utcnow
from runtime.ids import new_id
from store.integrations import Integrations
from store.jobs import Jobs
from store.tables import InstanceRow, JobRow

DELETE_INSTANCE = "delete"


async def ensure_ready(session: AsyncSession, vault: Vault, instance_id: str, precondition: Precondition) -> None:
    """What a deploy would refuse, before Temporal is asked. Raises NotFound, Conflict, Invalid `config_invalid`."""
    row = await access.get(session, instance_id)
    precondition.ensure(row.revision)
    access.ensure_stays(row)
    ensure_not_suspended(row.suspended_at is not None)
    definition = await pinned(session, row)
    values = await Configuration(vault).read(session, row.id)
    ensure_deployable(definition, values)
    await ensure_connected(session, vault, row, definition.fields(), values)


async def pinned(session: AsyncSession, row: InstanceRow) -> Definition:
    """The definition of the version that the next deploy takes."""
    version = await Integrations(session).version(row.version_id)
    assert version is not None, "instances.version_id is a foreign key"
    return Definition.model_validate(version.definition)


async def delete(
    session: AsyncSession, principal: str, instance_id: str, confirm_name: str | None, precondition: Precondition
) -> JobRow:
    """Marks it and adds the job that removes it; a second time the job under way is answered."""
    row = await access.get(session, instance_id, for_update=True)
    precondition.ensure(row.revision)
    ensure_named(row.name, confirm_name)
    under_way = await _under_way(session, row) if row.deleting else None
    if under_way is not None:
        return under_way
    row.deleting = True
    touch(row)
    await bury(session, row, row.updated_at)
    job = _job(row.id, principal)
    Jobs(session).add(job)
    note(session, principal, "instance.deleted", row, job_id=job.id)
    await announce_removals(session, [row.id], principal)
    return job


async def _under_way(session: AsyncSession, row: InstanceRow) -> JobRow | None:
    """The instance's own job, or that of its customer's delete."""
    jobs = Jobs(session)
    return await jobs.by_object(DELETE_INSTANCE, row.id) or await jobs.by_object(DELETE_CUSTOMER, row.customer_id)


def _job(instance_id: str, principal: str) -> JobRow:
    now = utcnow()
    return JobRow(
        id=new_id("job"),
        kind=DELETE_INSTANCE,
        object_id=instance_id,
        principal=principal,
        state="running",
        stage="queued",
        total=0,
        done=0,
        failed=0,
        created_at=now,
        updated_at=now,
    )
