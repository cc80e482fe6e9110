"""`/v1/customers`."""

from functools import partial
from typing import Annotated

from fastapi import Query

from api.customers import service
from api.customers.schemas import CustomerCreate, CustomerQuery, CustomerQueueRead, CustomerRead, CustomerUpdate
from api.deps import AfterCommit, CallerDep, EtagDep, PagerDep, PreconditionDep, ResourcesDep, Session
from api.paging import Listing
from api.routing import requires, v1_router
from api.shapes import DeletionRead
from store.customers import CustomerFilter
from store.queues import Queues

router = v1_router("customers")


@router.post("/customers", status_code=201)
@requires("write")
async def create(body: CustomerCreate, session: Session, caller: CallerDep, tag: EtagDep) -> CustomerRead:
    """Create a customer."""
    row = await service.create(session, caller.principal, body.model_dump())
    tag(row.revision)
    return CustomerRead.of(row)


@router.get("/customers")
@requires("read")
async def list_(query: Annotated[CustomerQuery, Query()], session: Session, pager: PagerDep) -> Listing[CustomerRead]:
    """List customers, newest first."""
    labels = [label.lower() for label in query.label]
    rows = await service.find(session, CustomerFilter(query.q, query.external_id, labels), pager.page)
    return pager.listing(rows, CustomerRead.of, lambda row: row.id)


@router.get("/customers/{customer_id}")
@requires("read")
async def get(customer_id: str, session: Session, tag: EtagDep) -> CustomerRead:
    """Read a customer."""
    row = await service.get(session, customer_id)
    tag(row.revision)
    return CustomerRead.of(row)


@router.get("/customers/{customer_id}/queue")
@requires("read")
async def queue(customer_id: str, session: Session) -> CustomerQueueRead:
    """Read how many of its executions run and wait, in all its instances."""
    row = await service.get(session, customer_id)
    queues = Queues(session)
    counts = await queues.counts_of_customer(row.id)
    return CustomerQueueRead(
        limit=row.max_running,
        running=await queues.running_of_customer(row.id),
        waiting=counts.waiting,
        oldest_waiting_at=counts.oldest_waiting_at,
    )


@router.patch("/customers/{customer_id}")
@requires("write")
async def update(
    customer_id: str,
    body: CustomerUpdate,
    session: Session,
    caller: CallerDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> CustomerRead:
    """Change the fields given."""
    row = await service.update(session, caller.principal, customer_id, body.changes(), precondition)
    tag(row.revision)
    return CustomerRead.of(row)


@router.delete("/customers/{customer_id}", status_code=202)
@requires("write")
async def delete(
    customer_id: str,
    session: Session,
    caller: CallerDep,
    precondition: PreconditionDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    confirm_name: Annotated[str | None, Query(description="The customer's exact name")] = None,
) -> DeletionRead:
    """Delete a customer and its instances, executions, logs and secrets."""
    job = await service.delete(session, caller.principal, customer_id, confirm_name, precondition)
    after_commit.append(partial(resources.gateway.start_job, job))
    return DeletionRead(id=customer_id, job_id=job.id, state="deleting")
