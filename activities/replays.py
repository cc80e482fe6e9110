"""Replays: accepting one, and the ledger's side of many. Everything may be repeated: an item is replayed once."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.acceptance import Request, accept
from activities.deployments import Deployment, Deployments
from activities.handover import Handover, Starter
from activities.outbox import note
from activities.payloads import Payloads
from domain.bulk import ReplayPlan, ReplayProgress, ReplayTurn
from domain.deliveries import ensure_not_suspended
from domain.errors import Conflict, NotFound, StepFailed, Unavailable
from domain.executions import Status
from domain.messages import Failure, JobEnd
from domain.pausing import burst
from domain.queues import QUEUE_FULL
from domain.replays import ReplayStatus, SkipReason
from domain.upgrades import FailureRate, Wish
from runtime.clock import utcnow
from runtime.ids import new_id
from store.engine import Database
from store.executions import Executions
from store.instance_flows import InstanceFlows
from store.jobs import ENDED, Jobs
from store.replays import Replays, failure_rate
from store.tables import (
    CustomerRow,
    EventRow,
    ExecutionRow,
    InstanceFlowRow,
    InstanceRow,
    JobRow,
    ReplayItemRow,
    ReplayRow,
)


class ReplayActivities:
    def __init__(self, database: Database, deployments: Deployments, payloads: Payloads, starter: Starter) -> None:
        self._database = database
        self._deployments = deployments
        self._payloads = payloads
        self._starter = starter

    def all(self) -> list[Callable[..., Awaitable[Any]]]:
        return [self.begin_replay, self.replay_some, self.end_replay]

    @activity.defn
    async def begin_replay(self, job_id: str) -> ReplayPlan:
        async with self._database.transaction() as session:
            row = await Replays(session).get(job_id)
            job = await Jobs(session).get(job_id)
            if row is None or job is None or job.state in ENDED:
                return ReplayPlan(proceed=False)
            await Jobs(session).enter(job_id, "replaying", utcnow())
        return ReplayPlan(proceed=True, rate_per_second=row.rate_per_second)

    @activity.defn
    async def replay_some(self, turn: ReplayTurn) -> ReplayProgress:
        """Replays the next ones, as many as go out together, unless people want something else or too much fails."""
        progress, rate_per_second = await self._look(turn)
        if progress.wish != Wish.RUN or progress.stopped is not None:
            return progress
        for _ in range(burst(rate_per_second)):
            async with self._database.snapshot() as session:
                position = await Replays(session).next_pending(turn.job_id, progress.position)
            if position is None:
                progress.all_begun = True
                return progress
            try:
                handover = await self._replay(turn.job_id, position)
            except Unavailable as error:
                if error.code != QUEUE_FULL:
                    raise
                return progress  # the next turn finds room, or not yet
            if handover is not None:
                await self._starter.start(handover)
            progress.position = position
            activity.heartbeat()
        return progress

    @activity.defn
    async def end_replay(self, end: JobEnd) -> None:
        """What is still pending is not replayed any more. The first end stays."""
        reason = SkipReason.STOPPED if end.failure is not None else SkipReason.ABORTED
        async with self._database.transaction() as session:
            now, replays = utcnow(), Replays(session)
            await replays.settle(end.job_id, now)
            await replays.skip_pending(end.job_id, reason, now)
            counts = await replays.counts(end.job_id)
            counted = {"done": JobRow.total, "failed": counts[ReplayStatus.FAILED], "result": counts}
            error = asdict(end.failure) if end.failure is not None else None
            await Jobs(session).change(end.job_id, now, state=end.state, stage=end.state, error=error, **counted)

    async def _look(self, turn: ReplayTurn) -> tuple[ReplayProgress, float]:
        """How it stands, written down."""
        async with self._database.transaction() as session:
            row = await session.get_one(ReplayRow, turn.job_id)
            replays, now = Replays(session), utcnow()
            all_begun = await replays.next_pending(row.id, turn.position) is None
            if all_begun or row.stop_at_failure_percent is not None:
                await replays.settle(row.id, now)
            counts = await replays.counts(row.id)
            done = JobRow.total - counts[ReplayStatus.PENDING] - counts[ReplayStatus.STARTED]
            await Jobs(session).change(row.id, now, done=done, failed=counts[ReplayStatus.FAILED])
            if all_begun and row.wish == Wish.RUN:
                await Jobs(session).enter(row.id, "watching", now)
        progress = ReplayProgress(turn.position, row.wish, all_begun)
        progress.over = all_begun and not counts[ReplayStatus.STARTED]
        rate = failure_rate(counts)
        if rate.exceeds(row.stop_at_failure_percent, row.min_ended) and not progress.over:
            progress.stopped = _too_many(rate, row.stop_at_failure_percent)
        return progress, row.rate_per_second

    async def _replay(self, job_id: str, position: int) -> Handover | None:
        """One transaction: the item is settled, or its replay accepted."""
        async with self._database.transaction() as session:
            row = await session.get_one(ReplayRow, job_id)
            item = await Replays(session).item(job_id, position)
            if item is None or item.status != ReplayStatus.PENDING or row.wish != Wish.RUN:
                return None
            original = await locked(session, item.execution_id)
            if original is None:
                await _skip(session, item, SkipReason.DELETED)
                return None
            why_not = await Replays(session).why_not(original, row.created_at)
            if why_not is not None:
                await _skip(session, item, why_not)
                return None
            return await self._accept(session, row, item, original)

    async def _accept(
        self, session: AsyncSession, row: ReplayRow, item: ReplayItemRow, original: ExecutionRow
    ) -> Handover | None:
        try:
            handover = await accept_replay(
                session,
                self._deployments,
                self._payloads,
                original,
                original_version=row.original_version,
                from_failed_step=row.from_failed_step and original.status == Status.FAILED,
            )
        except (NotFound, Conflict, StepFailed) as error:
            await _skip(session, item, error.code)
            return None
        item.status, item.replayed_as, item.updated_at = ReplayStatus.STARTED, handover.execution_id, utcnow()
        await session.flush()
        _note(session, row, original, handover)
        return handover


async def locked(session: AsyncSession, execution_id: str) -> ExecutionRow | None:
    """Whoever would replay an execution holds it meanwhile: two never do at once."""
    return await session.get(ExecutionRow, execution_id, with_for_update=True, populate_existing=True)


async def accept_replay(
    session: AsyncSession,
    deployments: Deployments,
    payloads: Payloads,
    row: ExecutionRow,
    *,
    original_version: bool,
    from_failed_step: bool,
) -> Handover:
    """A new execution with the same payload, byte for byte. Raises NotFound, Conflict."""
    flow, instance, deployment = await replayable(
        session, deployments, row, original_version=original_version, from_failed_step=from_failed_step
    )
    request = Request(
        flow=flow,
        instance=instance,
        customer=await session.get_one(CustomerRow, row.customer_id),
        deployment=deployment,
        payload_of=row,
        is_test=row.is_test,
        replay_of=row.id,
        resume_from=row.id if from_failed_step else None,
        queue_key=row.queue_key or "",
        tags=dict(row.tags),
    )
    return await accept(session, payloads, request)


async def replayable(
    session: AsyncSession,
    deployments: Deployments,
    row: ExecutionRow,
    *,
    original_version: bool,
    from_failed_step: bool,
) -> tuple[InstanceFlowRow, InstanceRow, Deployment]:
    """What it would run on. Raises Conflict where it cannot be replayed so."""
    if from_failed_step and row.status != Status.FAILED:
        raise Conflict("Only a failed execution can be replayed from its failed step", code="not_replayable")
    flow = await InstanceFlows(session).get(row.instance_flow_id)
    instance = await session.get_one(InstanceRow, row.instance_id)
    if flow is None or instance.deleting:
        raise Conflict("The instance is being deleted")
    ensure_not_suspended(instance.suspended_at is not None)
    if row.payload_id is not None and await Executions(session).payload(row.payload_id) is None:
        raise Conflict("The payload has expired: there is nothing to replay", code="payload_expired")
    if from_failed_step and row.step_values_removed_at is not None:
        raise Conflict("The outputs of its steps have expired: replay it from the start", code="payload_expired")
    deployment_id = row.deployment_id if original_version else instance.deployment_id
    if deployment_id is None:
        raise Conflict("The instance is not deployed", code="instance_not_deployed")
    deployment = await deployments.get(deployment_id, session)
    if flow.key not in deployment.flows:
        raise Conflict("The deployed version no longer has this flow", code="not_replayable")
    return flow, instance, deployment


def _too_many(rate: FailureRate, limit: float | None) -> Failure:
    message = f"{rate.failed} of {rate.ended} replays failed ({rate.percent:g} %, more than {limit:g} %)"
    return Failure("failure_rate_exceeded", message, details={"ended": rate.ended, "failed": rate.failed})


async def _skip(session: AsyncSession, item: ReplayItemRow, reason: str) -> None:
    item.status, item.reason, item.updated_at = ReplayStatus.SKIPPED, reason, utcnow()
    await session.flush()


def _note(session: AsyncSession, row: ReplayRow, original: ExecutionRow, handover: Handover) -> None:
    note(
        session,
        EventRow(
            id=new_id("evt"),
            at=utcnow(),
            principal=row.principal,
            action="execution.replayed",
            object_id=original.id,
            instance_id=original.instance_id,
            customer_id=original.customer_id,
            details={"replay": handover.execution_id, "replay_id": row.id},
        ),
    )
