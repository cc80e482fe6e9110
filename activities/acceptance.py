"""Acceptance: the execution, its payload and its tags, in one transaction. After its commit nothing is lost."""

from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from activities.deployments import Deployment
from activities.handover import Handover, small, summary
from activities.payloads import Payload, Payloads
from domain.executions import Status, retry_rule
from runtime.clock import utcnow
from runtime.ids import new_id
from store.executions import Acceptance, Executions
from store.tables import CustomerRow, ExecutionRow, InstanceFlowRow, InstanceRow


@dataclass(frozen=True)
class Request:
    """What is to be run: a flow of an instance on a deployment, with a payload of its own or another's."""

    flow: InstanceFlowRow
    instance: InstanceRow
    customer: CustomerRow
    deployment: Deployment
    payload: Payload | None = None
    payload_of: ExecutionRow | None = None  # a replay: the very bytes of the original
    is_test: bool = False
    replay_of: str | None = None
    resume_from: str | None = None
    dedupe_key: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


async def accept(session: AsyncSession, payloads: Payloads, request: Request) -> Handover:
    """Writes the execution; the caller commits, then hands over. Raises IntegrityError when the dedupe key is taken."""
    now = utcnow()
    execution = _row(request, now)
    payload_row = None
    if request.payload is not None:
        payload_row = payloads.seal(request.payload, execution.id, request.instance.id, now)
        execution.payload_id, execution.payload_size = payload_row.id, len(request.payload.body)
    elif request.payload_of is not None:
        execution.payload_id = request.payload_of.payload_id
        execution.payload_size = request.payload_of.payload_size
    await Executions(session).accept(Acceptance(execution, payload_row, request.tags))
    return _handover(request, execution)


def _row(request: Request, now: datetime) -> ExecutionRow:
    rule = retry_rule(request.deployment.definition.flow(request.flow.key).retry)
    execution_id = new_id("exec")
    return ExecutionRow(
        id=execution_id,
        instance_flow_id=request.flow.id,
        instance_id=request.instance.id,
        customer_id=request.customer.id,
        integration_id=request.instance.integration_id,
        version_id=request.deployment.version_id,
        deployment_id=request.deployment.id,
        status=Status.QUEUED,
        trigger=request.flow.trigger,
        is_test=request.is_test,
        replay_of=request.replay_of,
        resume_from=request.resume_from,
        dedupe_key=request.dedupe_key,
        max_attempts=rule.max_attempts,
        retry=asdict(rule),
        queued_at=now,
        tags=dict(request.tags),
        workflow_id=execution_id,
        created_at=now,
        updated_at=now,
    )


def _handover(request: Request, execution: ExecutionRow) -> Handover:
    flow = request.deployment.definition.flow(request.flow.key)
    version = request.deployment.version_number
    return Handover(
        execution_id=execution.id,
        instance_flow_id=execution.instance_flow_id,
        deployment_id=execution.deployment_id,
        customer_id=execution.customer_id,
        instance_id=execution.instance_id,
        integration_id=execution.integration_id,
        version_number=version,
        trigger_kind=execution.trigger,
        retry=retry_rule(flow.retry),
        summary=summary(request.customer.name, request.instance.name, version, flow.title, execution.trigger),
        replay_of=execution.replay_of,
        trigger=small(request.payload.root()) if request.payload is not None else None,
    )
