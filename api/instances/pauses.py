"""`/v1/instances/{id}/pause`, `/unpause`, `/suspend`, `/resume`."""

from functools import partial

from api.deps import AfterCommit, CallerDep, EtagDep, PreconditionDep, ResourcesDep, Session
from api.instances import pauses_service, service
from api.instances.pauses_schemas import PauseBody, SuspendBody, UnpauseBody
from api.instances.schemas import InstanceRead
from api.resources import Resources
from api.routing import requires, v1_router
from store.tables import JobRow

router = v1_router("instances")


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
    """Stop schedules, and refuse or hold webhooks. Pausing again changes the mode, if another one is given."""
    wanted = body or PauseBody()
    await pauses_service.pause(session, caller.principal, instance_id, wanted.mode, wanted.note, precondition)
    _follow(resources, after_commit, instance_id)
    return await _shown(session, resources, tag, instance_id)


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
    """Go on after a pause. What was held starts in its order, by the job `drain_job_id`; what comes in waits behind."""
    wish = (body or UnpauseBody()).drain.model_dump(mode="json")
    job = await pauses_service.unpause(session, caller.principal, instance_id, wish, precondition)
    _follow(resources, after_commit, instance_id, job)
    return await _shown(session, resources, tag, instance_id)


@router.post("/instances/{instance_id}/suspend")
@requires("admin")
async def suspend(
    instance_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    after_commit: AfterCommit,
    tag: EtagDep,
    body: SuspendBody | None = None,
) -> InstanceRead:
    """Let nothing begin: webhooks, schedules, tests, replays, deploys. `enabled` stays as it is."""
    suspension_note = (body or SuspendBody()).note
    await pauses_service.suspend(session, caller.principal, instance_id, suspension_note, precondition)
    _follow(resources, after_commit, instance_id)
    return await _shown(session, resources, tag, instance_id)


@router.post("/instances/{instance_id}/resume")
@requires("admin")
async def resume(
    instance_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    after_commit: AfterCommit,
    tag: EtagDep,
) -> InstanceRead:
    """Go on after a suspension."""
    job = await pauses_service.resume(session, caller.principal, instance_id, precondition)
    _follow(resources, after_commit, instance_id, job)
    return await _shown(session, resources, tag, instance_id)


def _follow(resources: Resources, after_commit: AfterCommit, instance_id: str, job: JobRow | None = None) -> None:
    """Temporal is told once the ledger says so; upkeep makes up for it if Temporal is away."""
    after_commit.append(partial(resources.gateway.sync_schedules, instance_id))
    if job is not None:
        after_commit.append(partial(resources.gateway.start_job, job))


async def _shown(session: Session, resources: Resources, tag: EtagDep, instance_id: str) -> InstanceRead:
    shown = await service.get(session, instance_id)
    tag(shown.view.row.revision)
    return InstanceRead.of(shown, resources.settings.public_url)
