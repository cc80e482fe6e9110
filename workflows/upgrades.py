"""Bulk upgrade: ring after ring, a few instances at once; watch them; roll back when too much fails.

The ledger knows every item and what people want; this is the order of things. Whatever is killed, begun anew it finds
the settled items settled.
"""

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator
    from datetime import timedelta

    from activities.upgrades import UpgradeActivities
    from domain.bulk import (
        ItemClaim,
        ItemOutcome,
        UpgradeInput,
        UpgradeItem,
        UpgradePlan,
        UpgradeRing,
        UpgradeSight,
        UpgradeStop,
    )
    from domain.messages import (
        DEPLOY_WORKFLOW,
        UPGRADE_SIGNAL,
        UPGRADE_WORKFLOW,
        DeployInput,
        DeployResult,
        Failure,
        JobEnd,
    )
    from domain.upgrades import FailureRate, Wish
    from workflows import failures, policies

INSTANCE_ID = SearchAttributeKey.for_keyword("InstanceId")

Act = Callable[[UpgradeItem], Awaitable[None]]


@workflow.defn(name=UPGRADE_WORKFLOW)
class UpgradeWorkflow:
    """Its id is the job's. The signal says: look at the ledger, somebody wants something else now."""

    def __init__(self) -> None:
        self._job_id = ""
        self._plan = UpgradePlan(proceed=False)
        self._nudged = False
        self._aborted = False
        self._asking = asyncio.Lock()
        self._next_start = 0.0

    @workflow.signal(name=UPGRADE_SIGNAL)
    def look(self) -> None:
        self._nudged = True

    @workflow.run
    async def run(self, message: UpgradeInput) -> None:
        self._job_id = message.job_id
        self._plan = await workflow.execute_local_activity_method(
            UpgradeActivities.begin_upgrade, message.job_id, **policies.LEDGER
        )
        if self._plan.proceed:
            end = await self._conduct(message.position)
            await workflow.execute_local_activity_method(UpgradeActivities.end_upgrade, end, **policies.LEDGER)

    async def _conduct(self, position: int) -> JobEnd:
        stopped = self._plan.stopped
        if stopped is None:
            stopped = await self._roll_out(position)
            if stopped is None:
                return JobEnd(self._job_id, "aborted" if self._aborted else "succeeded")
            stop = UpgradeStop(self._job_id, stopped)
            await workflow.execute_local_activity_method(UpgradeActivities.stop_upgrade, stop, **policies.LEDGER)
            position = 0
        await self._each(position, self._plan.ring_ends[-1], self._roll_back)
        return JobEnd(self._job_id, "failed", stopped, stage="rolled_back")

    async def _roll_out(self, position: int) -> Failure | None:
        """Why it was stopped, if it was."""
        plan = self._plan
        for ring, end in enumerate(plan.ring_ends, 1):
            if ring <= plan.rings_passed:
                position = max(position, end)
                continue
            await self._each(position, end, self._upgrade)
            position = max(position, end)
            stopped = None if self._aborted else await self._watch(ring)
            if stopped is not None or self._aborted:
                return stopped
            passed = UpgradeRing(self._job_id, ring)
            await workflow.execute_local_activity_method(UpgradeActivities.pass_ring, passed, **policies.LEDGER)
        return None

    async def _each(self, position: int, end: int, act: Act) -> None:
        """The items after `position`, up to and with `end`, several at once."""
        while position < end and not self._aborted:
            segment = min(position + policies.UPGRADE_SEGMENT, end)
            waiting = iter(range(position + 1, segment + 1))
            await asyncio.gather(*(self._lane(waiting, act) for _ in range(policies.UPGRADES_AT_ONCE)))
            position = segment
            if workflow.info().is_continue_as_new_suggested() and not self._aborted:
                workflow.continue_as_new(UpgradeInput(self._job_id, position))

    async def _lane(self, waiting: Iterator[int], act: Act) -> None:
        for position in waiting:
            await self._pace()
            if not self._aborted:
                await act(UpgradeItem(self._job_id, position))

    async def _pace(self) -> None:
        if self._plan.rate_per_second is None:
            return
        start = max(self._next_start, workflow.time())
        self._next_start = start + 1 / self._plan.rate_per_second
        while not self._aborted and (delay := start - workflow.time()) > 0:
            if await self._nudged_within(timedelta(seconds=delay)):
                await self._may_go_on()

    async def _upgrade(self, item: UpgradeItem) -> None:
        while True:
            claim: ItemClaim = await workflow.execute_local_activity_method(
                UpgradeActivities.claim_item, item, **policies.LEDGER
            )
            if claim.deploy is not None:
                outcome = ItemOutcome(item, await _deploy(claim.deploy))
                await workflow.execute_local_activity_method(UpgradeActivities.settle_item, outcome, **policies.LEDGER)
            if claim.verdict != "wait" or not await self._may_go_on():
                return

    async def _roll_back(self, item: UpgradeItem) -> None:
        claim: ItemClaim = await workflow.execute_local_activity_method(
            UpgradeActivities.claim_rollback, item, **policies.LEDGER
        )
        if claim.deploy is not None:
            outcome = ItemOutcome(item, await _deploy(claim.deploy))
            await workflow.execute_local_activity_method(UpgradeActivities.settle_rollback, outcome, **policies.LEDGER)

    async def _may_go_on(self) -> bool:
        """Waits out a pause. False once it is aborted."""
        async with self._asking:
            while not self._aborted:
                self._nudged = False
                wish = await workflow.execute_local_activity_method(
                    UpgradeActivities.ask_upgrade, self._job_id, **policies.LEDGER
                )
                if wish == Wish.RUN:
                    return True
                self._aborted = wish == Wish.ABORT
                if not self._aborted:
                    await workflow.wait_condition(lambda: self._nudged)
        return False

    async def _watch(self, ring: int) -> Failure | None:
        """Looks at what the upgraded instances do until the time is over, or too much of it has failed."""
        plan = self._plan
        if plan.stop_at_failure_percent is None:
            return None
        until = workflow.now() + timedelta(seconds=plan.watch_seconds)
        while True:
            self._nudged = False
            sight: UpgradeSight = await workflow.execute_local_activity_method(
                UpgradeActivities.watch_upgrade, self._job_id, **policies.LEDGER
            )
            if sight.wish != Wish.RUN:
                if not await self._may_go_on():
                    return None
                continue
            rate = FailureRate(sight.ended, sight.failed)
            if rate.exceeds(plan.stop_at_failure_percent, plan.min_executions):
                return _too_many(ring, rate, plan.stop_at_failure_percent)
            left = until - workflow.now()
            if left <= timedelta() or not sight.running:
                return None
            await self._nudged_within(min(left, policies.look_every(plan.watch_seconds)))

    async def _nudged_within(self, time: timedelta) -> bool:
        """Waits so long, or until somebody wants something."""
        try:
            await workflow.wait_condition(lambda: self._nudged, timeout=time)
        except TimeoutError:
            return False
        return True


async def _deploy(deploy: DeployInput) -> Failure | None:
    """As anybody's deploy, so one at a time: it waits while another one of this instance is under way."""
    for delay in policies.WHILE_DEPLOYING:
        try:
            await workflow.execute_child_workflow(
                DEPLOY_WORKFLOW,
                deploy,
                id=f"deploy-{deploy.instance_id}",
                result_type=DeployResult,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                search_attributes=TypedSearchAttributes([SearchAttributePair(INSTANCE_ID, deploy.instance_id)]),
                static_summary=f"deploy {deploy.instance_id}",
            )
        except WorkflowAlreadyStartedError:
            await workflow.sleep(delay)
        except ChildWorkflowError as error:
            return failures.of_child(error)
        else:
            return None
    return Failure("deploy_under_way", "Another deploy of this instance did not end")


def _too_many(ring: int, rate: FailureRate, limit: float) -> Failure:
    message = (
        f"In ring {ring}, {rate.failed} of {rate.ended} executions of the upgraded instances failed "
        f"({rate.percent:g} %, more than {limit:g} %): they have the version back that they had"
    )
    return Failure("failure_rate_exceeded", message, details={"ring": ring, "ended": rate.ended, "failed": rate.failed})
