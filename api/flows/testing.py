"""`/v1/flows/{id}/test` and `/v1/flows/{id}/test_payload`."""

from functools import partial

from fastapi import Response

from api.deps import AfterCommit, CallerDep, EtagDep, PreconditionDep, ResourcesDep, Session
from api.flows import testing_service as service
from api.flows.testing_schemas import FlowTest, TestAccepted, TestPayloadRead
from api.problems import QUEUE_IS_FULL
from api.routing import requires, v1_router

router = v1_router("flows")


@router.post("/flows/{flow_id}/test", status_code=202, responses=QUEUE_IS_FULL)
@requires("execute")
async def start_test(
    flow_id: str,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    after_commit: AfterCommit,
    response: Response,
    body: FlowTest | None = None,
) -> TestAccepted:
    """Execute the flow once, also while the instance is paused. Without a body the stored test payload is sent."""
    handover = await service.start(session, resources, caller.principal, flow_id, body.changes() if body else {})
    after_commit.append(partial(resources.gateway.hand_over, handover))
    url = f"{resources.settings.public_url}/v1/executions/{handover.execution_id}"
    response.headers["Location"] = url
    return TestAccepted(execution_id=handover.execution_id, url=url)


@router.get("/flows/{flow_id}/test_payload")
@requires("read")
async def get_test_payload(flow_id: str, session: Session, resources: ResourcesDep, tag: EtagDep) -> TestPayloadRead:
    """Read the payload kept for tests; all of it is empty when there is none."""
    row, given = await service.stored_payload(session, resources.keyring, flow_id)
    tag(row.revision)
    return TestPayloadRead.of(given)


@router.put("/flows/{flow_id}/test_payload")
@requires("write")
async def put_test_payload(
    flow_id: str,
    body: FlowTest,
    session: Session,
    caller: CallerDep,
    resources: ResourcesDep,
    precondition: PreconditionDep,
    tag: EtagDep,
) -> TestPayloadRead:
    """Keep a payload for tests, instead of the one kept before."""
    given = body.changes()
    row = await service.store_payload(session, resources.keyring, caller.principal, flow_id, given, precondition)
    tag(row.revision)
    return TestPayloadRead.of(given)
