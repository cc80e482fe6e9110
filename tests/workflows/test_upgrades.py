"""The bulk upgrade: rings in order, a few at once, pauses, aborts, watching, rolling back, and what a restart finds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle

from activities.errors import translate
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
from domain.errors import Invalid
from domain.messages import (
    DEPLOY_WORKFLOW,
    UPGRADE_SIGNAL,
    UPGRADE_WORKFLOW,
    DeployInput,
    DeployResult,
    Failure,
    JobEnd,
)
from runtime.ids import new_id
from tests.fixtures.temporal import eventually
from tests.workflows.stage import PATIENCE, working


@dataclass
class Ledger:
    """The upgrade's activities, and those of the deploys within it, on a list of positions."""

    plan: UpgradePlan
    run_id: str = field(default_factory=lambda: new_id("inst"))  # two tests must not deploy the same instances
    wish: str = "run"
    sights: list[UpgradeSight] = field(default_factory=list)  # the last one again and again
    refused: dict[int, Exception] = field(default_factory=dict)
    held: dict[int, asyncio.Event] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    deployed: list[int] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)
    back: list[int] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    looks: int = 0
    stopped: Failure | None = None
    end: JobEnd | None = None

    @activity.defn
    async def begin_upgrade(self, job_id: str) -> UpgradePlan:
        return self.plan

    @activity.defn
    async def claim_item(self, item: UpgradeItem) -> ItemClaim:
        if item.position in self.settled:
            return ItemClaim("settled")
        return ItemClaim("deploy", self._deploy(item, "up")) if self.wish == "run" else ItemClaim("wait")

    @activity.defn
    async def settle_item(self, outcome: ItemOutcome) -> None:
        self.settled.add(outcome.item.position)
        if outcome.failure is not None:
            self.failures[outcome.item.position] = outcome.failure.code

    @activity.defn
    async def watch_upgrade(self, job_id: str) -> UpgradeSight:
        self.looks += 1
        sight = self.sights.pop(0) if len(self.sights) > 1 else self.sights[0]
        return UpgradeSight(self.wish, sight.running, sight.ended, sight.failed)

    @activity.defn
    async def ask_upgrade(self, job_id: str) -> str:
        return self.wish

    @activity.defn
    async def pass_ring(self, passed: UpgradeRing) -> None:
        self.passed.append(passed.ring)

    @activity.defn
    async def stop_upgrade(self, stop: UpgradeStop) -> None:
        self.stopped = stop.failure

    @activity.defn
    async def claim_rollback(self, item: UpgradeItem) -> ItemClaim:
        ours = item.position in self.deployed and item.position not in self.failures
        return ItemClaim("deploy", self._deploy(item, "down")) if ours else ItemClaim("settled")

    @activity.defn
    async def settle_rollback(self, outcome: ItemOutcome) -> None:
        self.back.append(outcome.item.position)

    @activity.defn
    async def end_upgrade(self, end: JobEnd) -> None:
        self.end = end

    @activity.defn
    async def switch_deployment(self, message: DeployInput) -> DeployResult:
        position = int(message.instance_id.rpartition("-")[2])
        if position in self.held:
            await asyncio.wait_for(self.held[position].wait(), PATIENCE)
        if position in self.refused:
            raise self.refused[position]
        if message.version_id == "up":
            self.deployed.append(position)
        return DeployResult("dep_1", 2)

    @activity.defn
    async def apply_schedules(self, instance_id: str) -> None:
        return

    @activity.defn
    async def end_job(self, end: JobEnd) -> None:
        return

    def all(self) -> list[Callable[..., Any]]:
        return [
            self.begin_upgrade,
            self.claim_item,
            self.settle_item,
            self.watch_upgrade,
            self.ask_upgrade,
            self.pass_ring,
            self.stop_upgrade,
            self.claim_rollback,
            self.settle_rollback,
            self.end_upgrade,
            self.switch_deployment,
            self.apply_schedules,
            self.end_job,
        ]

    def instance(self, position: int) -> str:
        return f"{self.run_id}-{position}"

    def _deploy(self, item: UpgradeItem, version: str) -> DeployInput:
        return DeployInput(self.instance(item.position), new_id("job"), "bootstrap", version)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(UpgradePlan(True))


@pytest.fixture
async def task_queue(client: Client, ledger: Ledger) -> AsyncIterator[str]:
    name = new_id("queue")
    async with working(client, name, ledger.all()):
        yield name


async def start(client: Client, task_queue: str, position: int = 0) -> WorkflowHandle[Any, Any]:
    job_id = new_id("upg")
    return await client.start_workflow(
        UPGRADE_WORKFLOW, UpgradeInput(job_id, position), id=job_id, task_queue=task_queue
    )


async def run(client: Client, task_queue: str, position: int = 0) -> None:
    handle = await start(client, task_queue, position)
    await asyncio.wait_for(handle.result(), PATIENCE)


def state(ledger: Ledger) -> str:
    assert ledger.end is not None
    return ledger.end.state


def watching(*ends: int, limit: float = 10.0, seconds: float = 0.0) -> UpgradePlan:
    return UpgradePlan(True, list(ends), stop_at_failure_percent=limit, watch_seconds=seconds)


async def test_all_at_once_without_rings(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = UpgradePlan(True, [12])
    await run(client, task_queue)
    assert sorted(ledger.deployed) == list(range(1, 13))
    assert (state(ledger), ledger.passed, ledger.looks) == ("succeeded", [1], 0)


async def test_upgrade_that_has_ended_is_left_alone(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = UpgradePlan(False)
    await run(client, task_queue)
    assert (ledger.end, ledger.deployed) == (None, [])


async def test_upgrade_of_nothing_succeeds(client: Client, task_queue: str, ledger: Ledger) -> None:
    await run(client, task_queue)
    assert state(ledger) == "succeeded"


async def test_rings_come_one_after_another(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan, ledger.sights = watching(1, 3, 6), [UpgradeSight("run", 1, 9, 0)]
    await run(client, task_queue)
    assert [ledger.deployed[:1], sorted(ledger.deployed[1:3]), sorted(ledger.deployed[3:])] == [[1], [2, 3], [4, 5, 6]]
    assert (state(ledger), ledger.passed, ledger.looks) == ("succeeded", [1, 2, 3], 3)


async def test_too_many_failures_roll_back_all_rings(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = watching(1, 3, 6)
    ledger.sights = [UpgradeSight("run", 1, 10, 1), UpgradeSight("run", 3, 20, 3)]
    await run(client, task_queue)
    assert sorted(ledger.deployed) == [1, 2, 3]
    assert sorted(ledger.back) == [1, 2, 3]
    assert ledger.passed == [1]
    assert ledger.end is not None
    assert (ledger.end.state, ledger.end.stage, ledger.end.failure) == ("failed", "rolled_back", ledger.stopped)
    assert ledger.stopped is not None
    assert (ledger.stopped.code, ledger.stopped.details) == (
        "failure_rate_exceeded",
        {"ring": 2, "ended": 20, "failed": 3},
    )
    assert ledger.stopped.message.startswith("In ring 2, 3 of 20 executions of the upgraded instances failed (15 %,")


async def test_few_executions_decide_nothing(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan, ledger.sights = watching(1), [UpgradeSight("run", 1, 4, 4)]
    ledger.plan.min_executions = 5
    await run(client, task_queue)
    assert (state(ledger), ledger.back) == ("succeeded", [])


async def test_failures_during_the_watch_stop_it_early(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = watching(1, 2, seconds=3600)
    ledger.plan.watch_seconds = 20.0
    ledger.sights = [UpgradeSight("run", 1, 0, 0), UpgradeSight("run", 1, 1, 1)]
    await run(client, task_queue)
    assert (state(ledger), ledger.deployed, ledger.back) == ("failed", [1], [1])


async def test_nothing_is_watched_where_nothing_runs(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan, ledger.sights = watching(1, 2, seconds=3600), [UpgradeSight("run", 0)]
    await run(client, task_queue)
    assert (state(ledger), ledger.looks) == ("succeeded", 2)


async def test_deploy_that_is_refused_fails_its_item_alone(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = UpgradePlan(True, [3])
    ledger.refused[2] = translate(Invalid("no", [], code="config_invalid"))
    await run(client, task_queue)
    assert (state(ledger), ledger.failures, sorted(ledger.deployed)) == ("succeeded", {2: "config_invalid"}, [1, 3])


async def test_another_deploy_of_the_instance_is_waited_for(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan, ledger.held = UpgradePlan(True, [1]), {1: asyncio.Event()}
    instance_id = ledger.instance(1)
    other = DeployInput(instance_id, new_id("job"), "somebody")
    theirs = await client.start_workflow(DEPLOY_WORKFLOW, other, id=f"deploy-{instance_id}", task_queue=task_queue)
    handle = await start(client, task_queue)
    await asyncio.sleep(0.5)
    assert ledger.deployed == []
    ledger.held[1].set()
    await asyncio.wait_for(asyncio.gather(theirs.result(), handle.result()), PATIENCE)
    assert (state(ledger), ledger.deployed, ledger.failures) == ("succeeded", [1], {})


async def test_terminated_deploy_is_a_failed_item(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan, ledger.held = UpgradePlan(True, [1]), {1: asyncio.Event()}
    handle = await start(client, task_queue)
    deploy = client.get_workflow_handle(f"deploy-{ledger.instance(1)}")

    async def terminated() -> bool:
        try:
            await deploy.terminate("by hand")
        except Exception:
            return False
        return True

    await eventually(terminated)
    await asyncio.wait_for(handle.result(), PATIENCE)
    ledger.held[1].set()
    assert (state(ledger), ledger.failures) == ("succeeded", {1: "interrupted"})


async def test_rate_spaces_the_starts(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = UpgradePlan(True, [4], rate_per_second=4.0)
    began = asyncio.get_running_loop().time()
    await run(client, task_queue)
    assert asyncio.get_running_loop().time() - began >= 0.75
    assert ledger.deployed == [1, 2, 3, 4]


async def test_pause_lets_nothing_begin_until_resumed(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan, ledger.wish = UpgradePlan(True, [3]), "pause"
    handle = await start(client, task_queue)
    await asyncio.sleep(0.5)
    await handle.signal(UPGRADE_SIGNAL)  # somebody looked, and it is paused still
    await asyncio.sleep(0.3)
    assert ledger.deployed == []
    ledger.wish = "run"
    await handle.signal(UPGRADE_SIGNAL)
    await asyncio.wait_for(handle.result(), PATIENCE)
    assert (state(ledger), sorted(ledger.deployed)) == ("succeeded", [1, 2, 3])


async def test_abort_finishes_what_is_being_deployed(client: Client, task_queue: str, ledger: Ledger) -> None:
    positions = range(1, 21)
    ledger.plan, ledger.held = UpgradePlan(True, [20]), {position: asyncio.Event() for position in positions}
    handle = await start(client, task_queue)
    await asyncio.sleep(1)
    ledger.wish = "abort"
    await handle.signal(UPGRADE_SIGNAL)
    for event in ledger.held.values():
        event.set()
    await asyncio.wait_for(handle.result(), PATIENCE)
    assert state(ledger) == "aborted"
    assert 1 <= len(ledger.deployed) <= 8
    assert ledger.settled == set(ledger.deployed)


@pytest.mark.parametrize("then", ["run", "abort"])
async def test_pause_while_watching_keeps_the_ring(client: Client, task_queue: str, ledger: Ledger, then: str) -> None:
    ledger.plan, ledger.sights = watching(1, 2, seconds=1.0), [UpgradeSight("run", 1)]
    handle = await start(client, task_queue)
    await eventually(lambda: looked(ledger))
    ledger.wish = "pause"
    await handle.signal(UPGRADE_SIGNAL)
    await asyncio.sleep(1.5)
    assert (ledger.deployed, ledger.end) == ([1], None)
    ledger.wish = then
    await handle.signal(UPGRADE_SIGNAL)
    await asyncio.wait_for(handle.result(), PATIENCE)
    assert (state(ledger), ledger.deployed) == (("succeeded", [1, 2]) if then == "run" else ("aborted", [1]))


async def looked(ledger: Ledger) -> bool:
    return ledger.looks > 0


async def test_begun_anew_it_goes_on_where_it_was(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan, ledger.sights, ledger.settled = watching(1, 3, 5), [UpgradeSight("run", 1, 9, 0)], {1, 2}
    ledger.plan.rings_passed = 1
    await run(client, task_queue, position=2)
    assert (sorted(ledger.deployed), ledger.passed, ledger.looks) == ([3, 4, 5], [2, 3], 2)


async def test_begun_anew_in_a_rollback_it_rolls_back(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan, ledger.deployed = watching(1, 3), [1, 2, 3]
    ledger.plan.stopped = Failure("failure_rate_exceeded", "too many")
    await run(client, task_queue, position=1)
    assert (sorted(ledger.back), ledger.stopped) == ([2, 3], None)
    assert ledger.end == JobEnd(
        ledger.end.job_id if ledger.end else "", "failed", ledger.plan.stopped, None, "rolled_back"
    )


async def test_abort_does_not_wait_for_the_rate(client: Client, task_queue: str, ledger: Ledger) -> None:
    ledger.plan = UpgradePlan(True, [20], rate_per_second=0.001)
    handle = await start(client, task_queue)
    await eventually(lambda: deployed(ledger))
    ledger.wish = "abort"
    await handle.signal(UPGRADE_SIGNAL)
    await asyncio.wait_for(handle.result(), PATIENCE)
    assert (state(ledger), ledger.deployed) == ("aborted", [1])


async def deployed(ledger: Ledger) -> bool:
    return bool(ledger.settled)
