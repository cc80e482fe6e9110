"""Interprets a flow's step tree for one attempt. Control is here; what touches the world is an activity."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.polling import PollActivities
    from domain.binding import bind
    from domain.callbacks import Place as CallbackPlace
    from domain.callbacks import token
    from domain.conditions import holds
    from domain.definitions.model import POLL, Case, Flow, OnError, PollTrigger, Step, walk
    from domain.durations import parse_duration
    from domain.errors import StepFailed
    from domain.executions import StepStatus, step_path
    from domain.messages import (
        ActionHint,
        CallbackInput,
        CallInput,
        Failure,
        Opened,
        Polled,
        PollInput,
        RunStepInput,
        RunStepResult,
        StepRecord,
        WaitInput,
    )
    from domain.values import EvaluationTooLarge, HeaderMap, evaluate
    from workflows import failures, policies
    from workflows.calling import Calling
    from workflows.calls import Calls
    from workflows.failures import AttemptFailed
    from workflows.waiting import Waiting

MAX_LOOP = 10_000


class Stopped(Exception):
    """A `stop` step was reached: the execution ends as a success, from any depth."""


class Broken(Exception):
    """A `break` step was reached: the innermost loop ends."""


@dataclass(frozen=True)
class Place:
    """Where a list of steps stands: the path above it, the enclosing indexes, the innermost loop's item."""

    parent: str = ""
    iteration: tuple[int, ...] = ()
    loop: dict[str, Any] | None = None


@dataclass
class Interpreter:
    """One attempt. `steps` holds each step's value by key, `records` the control records not written yet."""

    execution_id: str
    attempt: int
    opened: Opened
    flow: Flow
    trigger: dict[str, Any]
    waiting: Waiting = field(default_factory=Waiting)
    calling: Calling = field(default_factory=Calling)
    steps: dict[str, Any] = field(default_factory=dict)
    records: list[StepRecord] = field(default_factory=list)
    position: int = 0
    calls: Calls = field(default_factory=Calls)

    def __post_init__(self) -> None:
        trigger = self.trigger | {"headers": HeaderMap(self.trigger.get("headers") or {})}
        self.roots: dict[str, Any] = {
            "trigger": trigger,
            "steps": self.steps,
            "config": self.opened.config,
            "customer": self.opened.customer,
            "instance": self.opened.instance,
            "execution": {"id": self.execution_id, "attempt": self.attempt},
            "flows": self.opened.flows,
        }

    async def run(self) -> bool:
        """False: it polled, and nothing was new. Raises AttemptFailed; a `stop` is a success."""
        if isinstance(self.flow.trigger, PollTrigger) and self.opened.polls and not await self.poll(self.flow.trigger):
            return False
        self.offer(self.flow.steps, "")
        with suppress(Stopped):
            await self.run_steps(self.flow.steps, Place())
        return True

    async def poll(self, trigger: PollTrigger) -> bool:
        """What is new becomes the trigger's body."""
        self.roots["poll"] = {"cursor": self.opened.cursor}
        output = await self.run_step(trigger.step, Place())
        flow_id, instance_id = self.opened.instance_flow_id, self.opened.instance.get("id", "")
        found = PollInput(self.execution_id, flow_id, instance_id, output, trigger.items, trigger.id, trigger.cursor)
        try:
            polled: Polled = await workflow.execute_local_activity_method(
                PollActivities.take_polled, found, **policies.LEDGER
            )
        except (ActivityError, ApplicationError) as error:
            raise AttemptFailed(failures.of_activity(error, POLL)) from error
        if polled.trigger is not None:
            self.roots["trigger"] = polled.trigger | {"headers": HeaderMap(polled.trigger.get("headers") or {})}
        return polled.trigger is not None

    async def run_steps(self, steps: list[Step], place: Place) -> Any:
        """The value of the last step."""
        value = None
        for step in steps:
            value = self.steps[step.key] = await self.run_step(step, place)
        return value

    async def run_step(self, step: Step, place: Place) -> Any:
        path = step_path(place.parent, step.key)
        if workflow.info().get_current_history_length() >= policies.MAX_EVENTS:
            raise AttemptFailed(failures.too_many_steps(path))
        self.position += 1
        match step.kind:
            case "action":
                return await self.run_action(step, path, place)
            case "branch":
                return await self.run_branch(step, path, place)
            case "loop":
                return await self.run_loop(step, path, place)
            case "sleep":
                return await self.run_sleep(step, path, place)
            case "stop":
                return self.run_stop(step, path, place)
            case "call":
                return await self.run_call(step, path, place)
            case "wait":
                return await self.run_wait(step, path, place)
            case "break":
                with self.recorded(step, path, place):
                    raise Broken
            case kind:
                raise AttemptFailed(Failure("not_supported_yet", f"A {kind} step cannot be run", path, permanent=True))

    # Actions

    async def run_action(self, step: Step, path: str, place: Place) -> Any:
        policy = step.on_error or OnError()
        hint = self.opened.actions.get(step.action or "", ActionHint(local=False))
        try:
            message = self.message(step, path, place, policy, hint)
            return await self.execute_waiting(message, hint)
        except AttemptFailed as error:
            return self.continued(step, error)

    def message(self, step: Step, path: str, place: Place, policy: OnError, hint: ActionHint) -> RunStepInput:
        position, started = self.position, workflow.now()
        try:
            roots = self.roots_at(place)
            eager = {name: value for name, value in step.inputs.items() if name not in hint.lazy}
            inputs = evaluate(eager, roots)
            lazy = {name: bind(step.inputs[name], roots) for name in hint.lazy if name in step.inputs}
        except (StepFailed, EvaluationTooLarge) as error:
            failure = failures.of_evaluation(error, path)
            self.keep(step, path, place, position, started, failure=failure)
            raise AttemptFailed(failure) from error
        return RunStepInput(
            execution_id=self.execution_id,
            attempt=self.attempt,
            deployment_id=self.opened.deployment_id,
            path=path,
            key=step.key,
            name=step.title,
            position=position,
            started_at=started.isoformat(),
            timeout_seconds=_seconds(step.timeout or policies.DEFAULT_STEP_TIMEOUT),
            action=step.action or "",
            inputs=inputs,
            lazy=lazy,
            connection=step.connection,
            iteration=list(place.iteration),
            tries=policy.retries + 1,
            delay_seconds=_seconds(policy.delay),
            exponential=policy.backoff == "exponential",
            records=self.records,
            resume_from=self.opened.resume_from,
            flow=self.flow.key,
            instance_flow_id=self.opened.instance_flow_id,
            instance_id=self.opened.instance.get("id", ""),
            customer_id=self.opened.customer.get("id", ""),
            waits=self.opened.waits and step.connection is not None,
        )

    async def execute_waiting(self, message: RunStepInput, hint: ActionHint) -> Any:
        """A step whose connection fails is repeated once it works again: its record says that it is still running."""
        while True:
            try:
                return await self.execute(message, hint)
            except AttemptFailed as error:
                connection_id = error.failure.connection_id
                if not message.waits or connection_id is None:
                    raise
                if not await self.waited(message, connection_id):
                    self.records.append(_unrecorded(message, StepStatus.FAILED, error.failure))
                    raise
            message.records = self.records

    async def waited(self, message: RunStepInput, connection_id: str) -> bool:
        try:
            return await self.waiting.for_connection(WaitInput(self.execution_id, self.attempt, connection_id))
        except asyncio.CancelledError:
            self.records.append(_unrecorded(message, StepStatus.CANCELED))
            raise

    async def execute(self, message: RunStepInput, hint: ActionHint) -> Any:
        """Control records travel with the step; they are forgotten here once its record is known to be written."""
        try:
            result = await self.call(message, hint)
        except FailureError as error:
            if is_cancelled_exception(error):
                self.records.append(_unrecorded(message, StepStatus.CANCELED))
                raise asyncio.CancelledError from error  # as control steps do, so that the flow's timeout knows it
            failure = failures.of_activity(error, message.path)
            if failures.recorded(error):
                self.records = []
            else:
                self.records.append(_unrecorded(message, StepStatus.FAILED, failure))
            raise AttemptFailed(failure) from error
        self.records = []
        return result.output

    async def call(self, message: RunStepInput, hint: ActionHint) -> RunStepResult:
        if hint.local:
            return await self.calls.local(message)
        if message.key in self.opened.local_first:
            return await self.calls.local_first(message)
        return await self.calls.regular(message)

    # Control

    async def run_branch(self, step: Step, path: str, place: Place) -> str | None:
        with self.recorded(step, path, place) as record:
            case = self.choose(step.branch or [], place)
            record.branch = record.output = case.name if case else None
            if case:
                await self.run_steps(case.steps, replace(place, parent=path))
        return case.name if case else None

    def choose(self, cases: list[Case], place: Place) -> Case | None:
        roots = self.roots_at(place)
        for case in cases:
            if case.else_ or holds(case.when, roots):
                return case
        return None

    async def run_loop(self, step: Step, path: str, place: Place) -> list[Any]:
        values: list[Any] = []
        with self.recorded(step, path, place) as record:
            items = self.loop_items(step, place)
            record.inputs = {"count": len(items)}
            for index, item in enumerate(items):
                for inner in walk(step.steps or []):
                    self.steps.pop(inner.key, None)
                current = self.steps[step.key] = {"item": item, "index": index}
                self.offer(step.steps or [], f"{path}[{index}]")
                inside = Place(f"{path}[{index}]", (*place.iteration, index), current)
                try:
                    values.append(await self.run_steps(step.steps or [], inside))
                except Broken:
                    break
            record.output = {"count": len(values)}
        return values

    def loop_items(self, step: Step, place: Place) -> list[Any]:
        assert step.loop is not None
        roots = self.roots_at(place)
        over, times = evaluate(step.loop.over, roots), evaluate(step.loop.times, roots)
        if step.loop.times is not None:
            if isinstance(times, bool) or not isinstance(times, int) or times < 0:
                raise StepFailed(f"`times` needs a whole number, not {times!r}", code="invalid_input")
            over = list(range(min(times, MAX_LOOP + 1)))
        if isinstance(over, dict):
            over = [{"key": key, "value": value} for key, value in over.items()]
        if not isinstance(over, list):
            raise StepFailed(f"`over` needs a list or an object, not {type(over).__name__}", code="invalid_input")
        if len(over) > MAX_LOOP:
            raise StepFailed(f"A loop runs at most {MAX_LOOP} times", code="too_many_items", permanent=True)
        return over

    async def run_call(self, step: Step, path: str, place: Place) -> Any:
        assert step.call is not None
        try:
            with self.recorded(step, path, place) as record:
                inputs = evaluate(step.call.inputs, self.roots_at(place))
                record.inputs = {"flow": step.call.flow, "inputs": inputs}
                called = CallInput(self.execution_id, self.attempt, path, step.call.flow, inputs, step.call.wait)
                called.resume_from = self.opened.resume_from
                record.output = value = await self.calling.call(called)
                return value
        except AttemptFailed as error:
            return self.continued(step, error)

    async def run_wait(self, step: Step, path: str, place: Place) -> Any:
        assert step.wait is not None
        known = self.steps.get(step.key) or {}  # its address
        try:
            with self.recorded(step, path, place) as record:
                record.inputs = {"timeout": step.wait.timeout}
                message = CallbackInput(self.execution_id, self.attempt, path, resume_from=self.opened.resume_from)
                found = await self.waiting.for_callback(message, parse_duration(step.wait.timeout))
                if found is None:
                    told = f"Nobody called back within {step.wait.timeout}"
                    raise AttemptFailed(Failure("callback_timeout", told, path))
                record.output = found
                return known | found
        except AttemptFailed as error:
            return self.continued(step, error)

    def offer(self, steps: list[Step], parent: str) -> None:
        """The addresses of those that wait, known before they are reached; inside a loop with each round."""
        for step in steps:
            path = step_path(parent, step.key)
            if step.wait is not None and self.opened.callbacks is not None:
                place = CallbackPlace(self.execution_id, self.attempt, path)
                address = f"{self.opened.callbacks.url}/{token(place, self.opened.callbacks.secret)}"
                self.steps[step.key] = {"callback_url": address}
            for case in step.branch or []:
                self.offer(case.steps, path)

    def continued(self, step: Step, error: AttemptFailed) -> dict[str, Any]:
        """The value of a step that has failed and lets the flow go on. Raises the failure of another one."""
        policy = step.on_error or OnError()
        if policy.then != "continue" or error.failure.code == "too_many_steps":
            raise error
        return {"error": {"code": error.failure.code, "message": error.failure.message}}

    async def run_sleep(self, step: Step, path: str, place: Place) -> None:
        with self.recorded(step, path, place) as record:
            record.inputs = {"duration": step.sleep}
            await workflow.sleep(parse_duration(step.sleep or "0s"), summary=step.title)

    def run_stop(self, step: Step, path: str, place: Place) -> None:
        assert step.stop is not None
        with self.recorded(step, path, place) as record:
            told = evaluate(step.stop.model_dump(exclude_none=True), self.roots_at(place))
            if step.stop.fail is not None:
                raise AttemptFailed(Failure("stopped", _message(told["fail"]), path, permanent=True))
            record.output = told
            raise Stopped

    # Records

    @contextmanager
    def recorded(self, step: Step, path: str, place: Place) -> Iterator[StepRecord]:
        """Keep the record of a control step, however it ends."""
        position, started = self.position, workflow.now()
        record = self.keep(step, path, place, position, started)
        try:
            yield record
        except (Stopped, Broken):
            raise
        except AttemptFailed as error:
            record.status, record.error = StepStatus.FAILED, error.failure
            raise
        except (StepFailed, EvaluationTooLarge) as error:
            record.status, record.error = StepStatus.FAILED, failures.of_evaluation(error, path)
            raise AttemptFailed(record.error) from error
        except BaseException:
            record.status = StepStatus.CANCELED
            raise
        finally:
            if not failures.is_forgotten():
                record.ended_at = workflow.now().isoformat()
                self.records = [*(kept for kept in self.records if kept.path != path), record]

    def keep(
        self,
        step: Step,
        path: str,
        place: Place,
        position: int,
        started: datetime,
        failure: Failure | None = None,
    ) -> StepRecord:
        """A record as if the step had ended well just now, or with `failure`; it waits for the next write."""
        record = StepRecord(
            path=path,
            key=step.key,
            name=step.title,
            kind=step.action or step.kind,
            position=position,
            status=StepStatus.FAILED if failure else StepStatus.SUCCEEDED,
            started_at=started.isoformat(),
            ended_at=workflow.now().isoformat() if failure else None,
            iteration=list(place.iteration),
            error=failure,
        )
        if failure:
            self.records.append(record)
        return record

    def roots_at(self, place: Place) -> dict[str, Any]:
        return self.roots | {"loop": place.loop} if place.loop is not None else self.roots


def _seconds(duration: str) -> float:
    return parse_duration(duration) / timedelta(seconds=1)


def _message(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _unrecorded(message: RunStepInput, status: StepStatus, failure: Failure | None = None) -> StepRecord:
    """Of a step whose activity may not have written it; if it has, its own record stays."""
    return StepRecord(
        path=message.path,
        key=message.key,
        name=message.name,
        kind=message.action,
        position=message.position,
        status=status,
        started_at=message.started_at,
        ended_at=workflow.now().isoformat(),
        iteration=message.iteration,
        error=failure,
    )
