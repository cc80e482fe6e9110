"""What can be done with customers."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from api.etags import Precondition
from api.events import record
from domain.errors import Conflict, Invalid, NotFound, Problem
from runtime.clock import utcnow
from runtime.ids import new_id
from store.customers import CustomerFilter, Customers
from store.jobs import Jobs
from store.paging import Page
from store.tables import CustomerRow, JobRow

DELETE_CUSTOMER = "delete_customer"


async def create(session: AsyncSession, principal: str, values: dict[str, Any]) -> CustomerRow:
    """Raises Conflict: `already_exists`."""
    await _ensure_free(session, values)
    now = utcnow()
    row = CustomerRow(id=new_id("cust"), created_at=now, updated_at=now, revision=1, deleting=False, **values)
    Customers(session).add(row)
    record(session, principal, "customer.created", row.id, customer_id=row.id)
    return row


async def find(session: AsyncSession, wanted: CustomerFilter, page: Page) -> Sequence[CustomerRow]:
    return await Customers(session).list(wanted, page)


async def get(session: AsyncSession, customer_id: str, *, for_update: bool = False) -> CustomerRow:
    row = await Customers(session).get(customer_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such customer.")
    return row


async def update(
    session: AsyncSession, principal: str, customer_id: str, changes: dict[str, Any], precondition: Precondition
) -> CustomerRow:
    row = await get(session, customer_id, for_update=True)
    precondition.ensure(row.revision)
    ensure_stays(row)
    changed = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if not changed:
        return row
    await _ensure_free(session, changed)
    for name, value in changed.items():
        setattr(row, name, value)
    row.revision += 1
    row.updated_at = utcnow()
    record(session, principal, "customer.updated", row.id, customer_id=row.id, details={"changed": sorted(changed)})
    return row


async def delete(
    session: AsyncSession, principal: str, customer_id: str, confirm_name: str | None, precondition: Precondition
) -> JobRow:
    """Marks it and adds the job that deletes its instances first; a second time the same job is answered."""
    row = await get(session, customer_id, for_update=True)
    precondition.ensure(row.revision)
    ensure_named(row.name, confirm_name)
    under_way = await Jobs(session).by_object(DELETE_CUSTOMER, row.id)
    if row.deleting and under_way is not None:
        return under_way
    row.deleting = True
    row.revision += 1
    row.updated_at = now = utcnow()
    job = JobRow(
        id=new_id("job"),
        kind=DELETE_CUSTOMER,
        object_id=row.id,
        principal=principal,
        state="running",
        total=0,
        done=0,
        failed=0,
        created_at=now,
        updated_at=now,
    )
    Jobs(session).add(job)
    record(session, principal, "customer.deleted", row.id, customer_id=row.id, details={"job_id": job.id})
    return job


def ensure_stays(row: CustomerRow) -> None:
    """Raises Conflict for a customer on its way out. Instances ask this before they are made."""
    if row.deleting:
        raise Conflict("The customer is being deleted.")


def ensure_named(name: str, confirm_name: str | None) -> None:
    """Deleting by typing the name. Raises Invalid: `name_mismatch`."""
    if confirm_name != name:
        detail = "Must be the exact name of what is to be deleted."
        problem = Problem("#/query/confirm_name", "name_mismatch", detail)
        raise Invalid(f"confirm_name: {detail}", [problem], code="name_mismatch")


async def _ensure_free(session: AsyncSession, values: dict[str, Any]) -> None:
    customers = Customers(session)
    problems = []
    if "name" in values and await customers.by_name(values["name"]) is not None:
        problems.append(Problem("#/name", "already_exists", "Another customer has this name."))
    if values.get("external_id") is not None and await customers.by_external_id(values["external_id"]) is not None:
        problems.append(Problem("#/external_id", "already_exists", "Another customer has this external id."))
    if problems:
        raise Conflict(problems[0].detail, problems, code="already_exists")
