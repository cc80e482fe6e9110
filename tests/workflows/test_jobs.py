"""Deploy, delete and upkeep: which activities run, in which order, and what a failing one changes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.errors import translate
from domain.errors import Invalid, Problem
from domain.messages import (
    DELETE_CUSTOMER_WORKFLOW,
    DELETE_WORKFLOW,
    DEPLOY_WORKFLOW,
    UPKEEP_WORKFLOW,
    DeleteInput,
    DeletePlan,
    DeployFlowsInput,
    DeployFlowsReport,
    DeployInput,
    DeployResult,
    JobEnd,
)
from domain.sweeps import SweepReport
from runtime.ids import new_id
from tests.workflows.stage import working

DEPLOY = DeployInput("inst_1", "job_1", "bootstrap")
DEPLOYED = DeployResult("dep_1", 3, {"hello": "https://x/hooks/t"}, ["exec_1"])


@dataclass
class Chores:
    """Every administrative activity, as a fake that notes its calls and answers or raises what it was told to."""

    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def _note(self, name: str, given: Any) -> Any:
        self.calls.append((name, given))
        answer = self.answers.get(name)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    @activity.defn
    async def switch_deployment(self, message: DeployInput) -> DeployResult:
        result: DeployResult = self._note("switch_deployment", message)
        return result

    @activity.defn
    async def apply_schedules(self, instance_id: str) -> None:
        self._note("apply_schedules", instance_id)

    @activity.defn
    async def look_at_flows(self, message: DeployFlowsInput) -> DeployFlowsReport:
        self._note("look_at_flows", message.job_id)
        return DeployFlowsReport(ended=True)

    @activity.defn
    async def start_accepted(self, execution_ids: list[str]) -> None:
        self._note("start_accepted", execution_ids)

    @activity.defn
    async def plan_customer_removal(self, message: DeleteInput) -> DeletePlan:
        self._note("plan_customer_removal", message)
        return DeletePlan(instance_ids=["inst_1", "inst_2"])

    @activity.defn
    async def accept_remove_flows(self, message: DeleteInput) -> DeletePlan:
        return self._note("accept_remove_flows", message.object_id) or DeletePlan()

    @activity.defn
    async def await_executions(self, execution_ids: list[str]) -> None:
        self._note("await_executions", execution_ids)

    @activity.defn
    async def remove_schedules(self, message: DeleteInput) -> None:
        self._note("remove_schedules", message.object_id)

    @activity.defn
    async def stop_executions(self, message: DeleteInput) -> None:
        self._note("stop_executions", message.object_id)

    @activity.defn
    async def remove_executions(self, message: DeleteInput) -> None:
        self._note("remove_executions", message.object_id)

    @activity.defn
    async def remove_instance(self, message: DeleteInput) -> None:
        self._note("remove_instance", message.object_id)

    @activity.defn
    async def remove_customer(self, message: DeleteInput) -> None:
        self._note("remove_customer", message.object_id)

    @activity.defn
    async def end_job(self, end: JobEnd) -> None:
        self._note("end_job", end)

    @activity.defn
    async def sweep(self) -> SweepReport:
        self._note("sweep", None)
        return SweepReport(started=2)

    def all(self) -> list[Callable[..., Any]]:
        return [
            self.switch_deployment,
            self.apply_schedules,
            self.start_accepted,
            self.look_at_flows,
            self.plan_customer_removal,
            self.accept_remove_flows,
            self.await_executions,
            self.remove_schedules,
            self.stop_executions,
            self.remove_executions,
            self.remove_instance,
            self.remove_customer,
            self.end_job,
            self.sweep,
        ]


@pytest.fixture
def chores() -> Chores:
    return Chores()


@pytest.fixture
async def task_queue(client: Client, chores: Chores) -> AsyncIterator[str]:
    name = new_id("queue")
    async with working(client, name, chores.all()):
        yield name


async def test_deploy_switches_then_schedules_then_starts(client: Client, task_queue: str, chores: Chores) -> None:
    chores.answers["switch_deployment"] = DEPLOYED
    result: DeployResult = await client.execute_workflow(
        DEPLOY_WORKFLOW, DEPLOY, id=new_id("deploy"), task_queue=task_queue, result_type=DeployResult
    )
    assert result == DEPLOYED
    await client.get_workflow_handle(DEPLOY.job_id).result()
    assert chores.calls[:3] == [
        ("switch_deployment", DEPLOY),
        ("apply_schedules", "inst_1"),
        ("start_accepted", ["exec_1"]),
    ]
    assert chores.calls[3] == ("look_at_flows", "job_1")
    name, end = chores.calls[4]
    assert (name, end.job_id, end.state, end.result["version"]) == ("end_job", "job_1", "succeeded", 3)


async def test_deploy_without_deploy_flows_starts_nothing(client: Client, task_queue: str, chores: Chores) -> None:
    chores.answers["switch_deployment"] = DeployResult("dep_1", 3)
    await client.execute_workflow(DEPLOY_WORKFLOW, DEPLOY, id=new_id("deploy"), task_queue=task_queue)
    assert chores.names == ["switch_deployment", "apply_schedules", "end_job"]


async def test_deploy_that_is_rejected_says_why(client: Client, task_queue: str, chores: Chores) -> None:
    problems = [Problem("#/config/shop", "missing", "Shop is required")]
    chores.answers["switch_deployment"] = translate(Invalid("no", problems, code="config_invalid"))
    with pytest.raises(WorkflowFailureError) as caught:
        await client.execute_workflow(DEPLOY_WORKFLOW, DEPLOY, id=new_id("deploy"), task_queue=task_queue)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "config_invalid"
    assert caught.value.cause.details[0]["details"] == {"problems": [asdict(problems[0])]}
    [_, (name, end)] = chores.calls
    assert (name, end.state, end.failure.code) == ("end_job", "failed", "config_invalid")


async def test_deploy_stands_while_its_schedules_are_retried(client: Client, task_queue: str, chores: Chores) -> None:
    chores.answers |= {"switch_deployment": DEPLOYED, "apply_schedules": [RuntimeError("Temporal is busy"), None]}
    await client.execute_workflow(DEPLOY_WORKFLOW, DEPLOY, id=new_id("deploy"), task_queue=task_queue)
    await client.get_workflow_handle(DEPLOY.job_id).result()
    assert chores.names[:3] == ["switch_deployment", "apply_schedules", "apply_schedules"]
    assert chores.names[3:] == ["start_accepted", "look_at_flows", "end_job"]


async def test_delete_of_an_instance_in_order(client: Client, task_queue: str, chores: Chores) -> None:
    chores.answers["accept_remove_flows"] = DeletePlan(remove_executions=["exec_1"])
    message = DeleteInput("inst_1", "job_1", "bootstrap")
    await client.execute_workflow(DELETE_WORKFLOW, message, id=new_id("job"), task_queue=task_queue)
    assert chores.calls == [
        ("accept_remove_flows", "inst_1"),
        ("start_accepted", ["exec_1"]),
        ("await_executions", ["exec_1"]),
        ("remove_schedules", "inst_1"),
        ("stop_executions", "inst_1"),
        ("remove_executions", "inst_1"),
        ("remove_instance", "inst_1"),
        ("end_job", JobEnd("job_1", "succeeded")),
    ]


async def test_delete_of_a_customer_takes_its_instances_in_turn(
    client: Client, task_queue: str, chores: Chores
) -> None:
    message = DeleteInput("cust_1", "job_1", "bootstrap")
    await client.execute_workflow(DELETE_CUSTOMER_WORKFLOW, message, id=new_id("job"), task_queue=task_queue)
    of_instance = ["accept_remove_flows", "remove_schedules", "stop_executions", "remove_executions", "remove_instance"]
    assert chores.calls == [
        ("plan_customer_removal", message),
        *((name, "inst_1") for name in of_instance),
        *((name, "inst_2") for name in of_instance),
        ("remove_customer", "cust_1"),
        ("end_job", JobEnd("job_1", "succeeded")),
    ]


async def test_upkeep_sweeps_once(client: Client, task_queue: str, chores: Chores) -> None:
    report: SweepReport = await client.execute_workflow(
        UPKEEP_WORKFLOW, id=new_id("upkeep"), task_queue=task_queue, result_type=SweepReport
    )
    assert (chores.names, report.started) == (["sweep"], 2)
