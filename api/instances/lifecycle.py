"""`/v1/instances/{id}/deploy`."""

from fastapi import Response

from activities.deploys import deploy_job
from api.deps import CallerDep, PreconditionDep, ResourcesDep
from api.instances import lifecycle_service
from api.instances.lifecycle_schemas import DeploymentRead
from api.jobs.schemas import JobRead
from api.resources import Resources
from api.routing import requires, v1_router
from domain.messages import DeployInput
from runtime.clock import utcnow
from runtime.ids import new_id
from store.jobs import Jobs

router = v1_router("instances")


@router.post("/instances/{instance_id}/deploy", response_model=DeploymentRead, responses={202: {"model": JobRead}})
@requires("write", detached=True)
async def deploy(
    instance_id: str, caller: CallerDep, resources: ResourcesDep, precondition: PreconditionDep
) -> Response | DeploymentRead:
    """Make the chosen version and configuration current. Takes longer than 30 s: 202 and a job to poll."""
    async with resources.database.snapshot() as session:
        await lifecycle_service.ensure_ready(session, resources.vault, instance_id, precondition)
    message = DeployInput(instance_id, new_id("job"), caller.principal)
    result = await resources.gateway.deploy(message)
    return DeploymentRead.of(message, result) if result is not None else await _under_way(resources, message)


async def _under_way(resources: Resources, message: DeployInput) -> Response:
    async with resources.database.transaction() as session:
        job = JobRead.of(await Jobs(session).ensure(deploy_job(message, utcnow())))
    return Response(job.model_dump_json(), 202, {"Location": f"/v1/jobs/{job.id}"}, "application/json")
