"""`/v1/instances/{id}/deploy`, `/pause`, `/unpause`."""

from functools import partial

from fastapi import Response

from activities.deploys import deploy_job
from api.deps import AfterCommit, CallerDep, EtagDep, PreconditionDep, ResourcesDep, Session
from api.instances import lifecycle_service, service
from api.instances.lifecycle_schemas import DeploymentRead, PauseBody, UnpauseBody
from api.instances.schemas import InstanceRead
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
        await lifecycle_service.ensure_ready(session, resources.keyring, instance_id, precondition)
    message = DeployInput(instance_id, new_id("job"), caller.principal)
    result = await resources.gateway.deploy(message)
    return DeploymentRead.of(result) if result is not None else await _under_way(resources, message)


@router.post("/instances/{instance_id}/pause")
@requires("write")
async def pause(
    instance_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    after_commit: AfterCommit,
    tag: EtagDep,
    body: PauseBody | None = None,
) -> InstanceRead:
    """Stop schedules and refuse webhooks. Pausing again changes nothing."""
    wanted = body or PauseBody()
    wanted.ensure_supported()
    await lifecycle_service.pause(session, caller.principal, instance_id, wanted.note, precondition)
    after_commit.append(partial(resources.gateway.sync_schedules, instance_id))
    shown = await service.get(session, instance_id)
    tag(shown.view.row.revision)
    return InstanceRead.of(shown, resources.settings.public_url)


@router.post("/instances/{instance_id}/unpause")
@requires("write")
async def unpause(
    instance_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    after_commit: AfterCommit,
    tag: EtagDep,
    body: UnpauseBody | None = None,
) -> InstanceRead:
    """Go on after a pause."""
    (body or UnpauseBody()).ensure_supported()
    await lifecycle_service.unpause(session, caller.principal, instance_id, precondition)
    after_commit.append(partial(resources.gateway.sync_schedules, instance_id))
    shown = await service.get(session, instance_id)
    tag(shown.view.row.revision)
    return InstanceRead.of(shown, resources.settings.public_url)


async def _under_way(resources: Resources, message: DeployInput) -> Response:
    async with resources.database.transaction() as session:
        job = JobRead.of(await Jobs(session).ensure(deploy_job(message, utcnow())))
    return Response(job.model_dump_json(), 202, {"Location": f"/v1/jobs/{job.id}"}, "application/json")
