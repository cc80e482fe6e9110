"""Acceptance: the execution, its payload and its tags, in one transaction. After its commit nothing is lost."""

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from activities.deployments import Deployment
from activities.handover import Handover, small, summary
from activities.keeping import Keeping
from activities.outbox import announce_execution
from activities.payloads import Payload, Payloads
from domain.errors import Unavailable
from domain.executions import Status, TriggerKind, retry_rule
from domain.pausing import HELD
from domain.queues import QUEUE_FULL, QueueRule, settings_of, waits_for
from runtime.clock import utcnow
from runtime.ids import new_id
from store.executions import Acceptance, Executions
from store.instance_flows import InstanceFlows
from store.queues import Queues
from store.retries import Retries
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
    unique_key: str | None = None
    queue_key: str = ""  # of a flow with a queue: what it keeps order with, hashed
    tags: dict[str, str] = field(default_factory=dict)
    invoked_by: ExecutionRow | None = None  # its caller
    invoked_path: str | None = None
    call_depth: int = 0
    is_awaited: bool = False
    hold: bool = False  # until the instance's pause has ended and what came before has started


async def accept(session: AsyncSession, payloads: Payloads, request: Request) -> Handover:
    """Writes the execution; the caller commits, then hands over. Raises IntegrityError when the dedupe key is taken,
    Unavailable `queue_full`."""
    now = utcnow()
    execution = _row(request, now)
    if execution.queue_key is not None:
        await _make_room(session, request, now)
    payload_row = None
    if request.payload is not None:
        payload_row = payloads.seal(request.payload, execution.id, request.instance.id, now)
        execution.payload_id, execution.payload_size = payload_row.id, len(request.payload.body)
    elif request.payload_of is not None:
        execution.payload_id = request.payload_of.payload_id
        execution.payload_size = request.payload_of.payload_size
    await Executions(session).accept(Acceptance(execution, payload_row, request.tags))
    handover = _handover(request, execution)
    return replace(handover, supersedes=await _supersede(session, execution)) if request.unique_key else handover


async def _make_room(session: AsyncSession, request: Request, now: datetime) -> None:
    """In a queue of bounded length. What a pause holds does not count yet."""
    rule = _rule(request)
    if rule.max_length is None or request.hold:
        return
    queues = Queues(session)
    await queues.locked(request.flow.id)
    counted = (await queues.counts([request.flow.id])).get(request.flow.id)
    excess = (counted.waiting if counted else 0) + 1 - rule.max_length
    if excess <= 0:
        return
    if not rule.drop_oldest:
        raise Unavailable(f"{rule.max_length} deliveries of this flow wait already", code=QUEUE_FULL)
    for row in await queues.drop_oldest(request.flow.id, excess, now):
        announce_execution(session, row, Status.SKIPPED)


def _waits_for(request: Request) -> str | None:
    if request.is_test:
        return None
    trigger, most = request.flow.trigger, request.customer.max_running
    return waits_for(_rule(request), most, trigger, awaited=request.is_awaited)


def _rule(request: Request) -> QueueRule:
    return QueueRule.of(settings_of(request.deployment.definition.flow(request.flow.key).concurrency))


async def _supersede(session: AsyncSession, execution: ExecutionRow) -> tuple[str, ...]:
    """Cancels the pending retries of older deliveries about the same thing; the ids of their workflows."""
    flow_id, key = execution.instance_flow_id, execution.unique_key or ""
    older = await Retries(session).supersede(flow_id, key, execution.id, execution.queued_at)
    for row in older:
        await InstanceFlows(session).note_ended(row, failed=False, at=execution.queued_at)
        announce_execution(session, row, Status.CANCELED)
        await Keeping().end(session, row.instance_id, row.id, execution.queued_at)
    return tuple(row.workflow_id or row.id for row in older)


def _row(request: Request, now: datetime) -> ExecutionRow:
    flow = request.deployment.definition.flow(request.flow.key)
    rule = retry_rule(flow.retry)
    waits_for = _waits_for(request)
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
        reason=HELD if request.hold else waits_for,
        held=request.instance.hold_number if request.hold else None,
        trigger=TriggerKind.FLOW if request.invoked_by else request.flow.trigger,
        is_test=request.is_test,
        replay_of=request.replay_of,
        root_id=(request.payload_of.root_id or request.payload_of.id) if request.payload_of else None,
        resume_from=request.resume_from,
        dedupe_key=request.dedupe_key,
        unique_key=request.unique_key,
        queue_key=request.queue_key if waits_for else None,
        invoked_by=request.invoked_by.id if request.invoked_by else None,
        invoked_path=request.invoked_path,
        call_depth=request.call_depth,
        is_awaited=request.is_awaited,
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
        queued=execution.queue_key is not None,
        trigger=small(request.payload.root()) if request.payload is not None else None,
    )
