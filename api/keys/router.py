"""`/v1/keys`."""

from functools import partial

from fastapi import Response
from fastapi.responses import JSONResponse

from activities.places import Place, places
from activities.rotation import planned
from api.deps import AfterCommit, CallerDep, ResourcesDep, Session
from api.jobs.schemas import JobRead
from api.keys import service
from api.keys.schemas import KeyRead, RotateBody, RotationPlan
from api.paging import Listing, whole
from api.resources import Resources
from api.routing import requires, v1_router
from domain.messages import RotateInput
from runtime.temporal import namespace

router = v1_router("keys")


@router.get("/keys")
@requires("admin")
async def list_(session: Session, resources: ResourcesDep) -> Listing[KeyRead]:
    """List the ids of encryption keys and how much is under each. Takes seconds for each million of executions."""
    uses = await service.overview(session, resources.keyring, _places(resources))
    return whole(uses, KeyRead.of)


@router.post("/keys/rotate", status_code=202, response_model=JobRead, responses={200: {"model": RotationPlan}})
@requires("admin", detached=True)
async def rotate(
    body: RotateBody, caller: CallerDep, resources: ResourcesDep, response: Response, after_commit: AfterCommit
) -> Response | JobRead:
    """Bring everything under the primary key, with `data_keys` also under new data keys. A job to poll."""
    if body.dry_run:
        return JSONResponse((await _plan(resources, body)).model_dump())
    async with resources.database.transaction() as session:
        job = await service.rotate(session, resources.keyring, caller.principal, body.data_keys, body.customer_id)
    after_commit.append(partial(resources.gateway.start_job, job))
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobRead.of(job)


async def _plan(resources: Resources, body: RotateBody) -> RotationPlan:
    message = RotateInput("", resources.keyring.primary_id, body.data_keys, body.customer_id)
    async with resources.database.snapshot() as session:
        await service.ensure_askable(session, body.data_keys, body.customer_id)
        stages = await planned(session, resources.keyring, _places(resources), message)
    return RotationPlan(total=sum(stages.values()), stages=stages)


def _places(resources: Resources) -> dict[str, Place]:
    return places(namespace(resources.settings))
