"""A stage for the execution workflow: the real one, sandboxed, on a real server, with fake activities around it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.handover import retry_policy
from domain.executions import RetryRule, Status
from domain.messages import (
    EXECUTION_WORKFLOW,
    ActionHint,
    CloseInput,
    ExecutionInput,
    Failure,
    Opened,
    OpenInput,
    RunStepInput,
    RunStepResult,
    WaitInput,
)
from runtime.ids import new_id
from worker import WORKFLOWS, workflow_runner

ACTIONS = {
    "http.get": ActionHint(local=False),
    "log.write": ActionHint(local=True),
    "data.map": ActionHint(local=True, lazy=["to"]),
}
PATIENCE = 15.0
TRIGGER = {"body": {"id": 7, "lines": [{"sku": "a"}, {"sku": "b"}]}, "headers": {"X-Shop": "north"}}

Answer = Any  # a value, an exception to raise, a callable given the step, or a list of these, one per call


@dataclass
class Fakes:
    """Activities under the real names. A step answers its own inputs, unless the script knows its path."""

    flow: dict[str, Any] = field(default_factory=dict)
    opened: dict[str, Any] = field(default_factory=dict)  # what `open_execution` answers besides
    script: dict[str, Answer] = field(default_factory=dict)
    opens: list[OpenInput] = field(default_factory=list)
    closes: list[CloseInput] = field(default_factory=list)
    steps: list[RunStepInput] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)  # a step has begun
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    waits: list[WaitInput] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # whether its connection works
    works: list[bool] = field(default_factory=list)  # the answers; in the end it does

    @activity.defn
    async def open_execution(self, message: OpenInput) -> Opened:
        self.opens.append(message)
        defaults: dict[str, Any] = {"proceed": True, "flow": self.flow, "actions": ACTIONS, "deployment_id": "dep_1"}
        defaults |= {"customer": {"name": "Acme"}, "config": {"endpoint": "https://shop.example.com"}}
        return Opened(**defaults | self.opened)

    @activity.defn
    async def close_execution(self, message: CloseInput) -> None:
        self.closes.append(message)
        self.closed.set()

    @activity.defn
    async def wait_for_connection(self, message: WaitInput) -> bool:
        self.waits.append(message)
        self.asked.set()
        return bool(self.works) and not self.works.pop(0)

    @activity.defn(dynamic=True)
    async def run_step(self, arguments: Sequence[RawValue]) -> RunStepResult:
        step: RunStepInput = activity.payload_converter().from_payload(arguments[0].payload, RunStepInput)
        assert step.action == activity.info().activity_type
        self.steps.append(step)
        self.started.set()
        answer = self.script.get(step.path, step.inputs)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer):
            answer = await answer(step)
        if isinstance(answer, Exception):
            raise answer
        return RunStepResult(answer)

    def all(self) -> list[Callable[..., Any]]:
        return [self.open_execution, self.close_execution, self.wait_for_connection, self.run_step]

    async def step_has_begun(self) -> None:
        await asyncio.wait_for(self.started.wait(), PATIENCE)

    async def is_closed(self) -> None:
        await asyncio.wait_for(self.closed.wait(), PATIENCE)

    @property
    def paths(self) -> list[str]:
        return [step.path for step in self.steps]

    @property
    def close(self) -> CloseInput:
        """The last one."""
        return self.closes[-1]


@dataclass
class Stage:
    client: Client
    task_queue: str
    fakes: Fakes

    async def start(
        self, *steps: dict[str, Any], retry: RetryRule | None = None, **of_flow: Any
    ) -> WorkflowHandle[Any, Any]:
        self.fakes.flow = {"key": "hello", "trigger": {"type": "webhook"}, "steps": list(steps), **of_flow}
        rule = retry or RetryRule()
        execution_id = new_id("exec")
        given = ExecutionInput("flow_1", execution_id, "dep_1", rule, trigger=TRIGGER)
        return await self.client.start_workflow(
            EXECUTION_WORKFLOW, given, id=execution_id, task_queue=self.task_queue, retry_policy=retry_policy(rule)
        )

    async def run(self, *steps: dict[str, Any], retry: RetryRule | None = None, **of_flow: Any) -> CloseInput:
        """To the end, however it ends; what the execution was closed with last."""
        handle = await self.start(*steps, retry=retry, **of_flow)
        try:
            await asyncio.wait_for(handle.result(), PATIENCE)
        except WorkflowFailureError:
            assert self.fakes.close.status != Status.SUCCEEDED
        return self.fakes.close


@asynccontextmanager
async def working(client: Client, task_queue: str, activities: Sequence[Callable[..., Any]]) -> AsyncIterator[None]:
    """A worker with every workflow of ours, sandboxed to find what is not deterministic."""
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=activities,
        workflow_runner=workflow_runner(True),
        workflow_failure_exception_types=[Exception],  # a bug ends the test at once instead of hanging it
        # A canceled activity learns of it soon.
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        default_heartbeat_throttle_interval=timedelta(milliseconds=100),
    )
    async with worker:
        yield


def step_error(code: str = "http_status", *, final: bool = True, **given: Any) -> ApplicationError:
    """As activities/steps.py raises it."""
    failure = Failure(**{"code": code, "message": f"{code} happened", "step": "get", **given})
    return ApplicationError(failure.message, asdict(failure), type=code, non_retryable=final)


def get(key: str, value: Any = None, **given: Any) -> dict[str, Any]:
    """A step that touches the world."""
    return {"key": key, "action": "http.get", "inputs": {"value": value}, **given}


def say(key: str, message: Any = "hi", **given: Any) -> dict[str, Any]:
    """A local step."""
    return {"key": key, "action": "log.write", "inputs": {"message": message}, **given}


async def forever(_: RunStepInput) -> None:
    """A step that never ends by itself."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)
