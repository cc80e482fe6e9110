"""Checks of steps: what each kind takes, and that its expressions refer to what exists and can have run."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from domain.catalog import Catalog
from domain.conditions import check_condition
from domain.definitions.actions import ActionChecks
from domain.definitions.limits import check_duration
from domain.definitions.model import Call, Case, Loop, Step, Stop
from domain.definitions.scope import ITEM_ROOTS, STEP_ROOTS, Enclosing, Scope
from domain.replies import is_of_a_flow
from domain.values import Location, is_expression

LONGEST_TIMEOUT = timedelta(hours=24)
LONGEST_DELAY = timedelta(hours=1)
LONGEST_WAIT = timedelta(days=30)

_KINDS = ("action", "branch", "loop", "stop", "break", "sleep", "wait", "call")
_ONLY_ACTIONS = ("connection", "inputs", "timeout")
_MAY_FAIL = ("action", "call", "wait")
_CALLED_BY = ("flow", "webhook")


class StepChecks:
    """Walks the steps of one flow in reading order."""

    def __init__(self, scope: Scope, catalog: Catalog) -> None:
        self.scope = scope
        self.report = scope.report
        self.actions = ActionChecks(scope.known.fields, catalog, scope.report)
        self.seen: set[str] = set()

    def check_steps(self, steps: list[Step], at: Location) -> list[str]:
        """Returns the keys that may have run once these have."""
        return [key for index, step in enumerate(steps) for key in self._check_step(step, (*at, index))]

    def _check_step(self, step: Step, at: Location) -> Iterator[str]:
        if step.key in self.seen:
            self.report.add((*at, "key"), "duplicate_step", f"there are two steps of the key {step.key} in this flow")
        self.seen.add(step.key)
        kinds = [name for name in _KINDS if getattr(step, "break_" if name == "break" else name) is not None]
        if len(kinds) != 1:
            said = f"not {' and '.join(kinds)}" if kinds else "and this has none"
            self.report.add(at, "invalid_value", f"a step is exactly one of {', '.join(_KINDS)}, {said}")
        self._check_company(step, kinds, at)
        if step.action is not None:
            self._check_action(step, step.action, at)
        if step.wait:
            check_duration(step.wait.timeout, (*at, "wait", "timeout"), self.report, longest=LONGEST_WAIT)
        if step.call:
            self._check_call(step.call, (*at, "call"))
        if step.stop:
            self._check_stop(step.stop, (*at, "stop"))
        if step.break_ and not self.scope.in_loop:
            self.report.add((*at, "break"), "invalid_value", "break stands inside a loop only", key=True)
        if step.sleep is not None:
            check_duration(step.sleep, (*at, "sleep"), self.report)
        if step.branch is not None:
            yield from self._check_branch(step.key, step.branch, (*at, "branch"))
        self._check_loop(step, at)
        if self.scope.finish(step.key):
            yield step.key

    def _check_company(self, step: Step, kinds: list[str], at: Location) -> None:
        """Keys that go with one kind only."""
        for name in _ONLY_ACTIONS:
            if name in step.model_fields_set and kinds and "action" not in kinds:
                self.report.add((*at, name), "invalid_value", f"{name} goes with action only", key=True)
        if step.on_error and not set(_MAY_FAIL) & set(kinds):
            self.report.add(
                (*at, "on_error"), "invalid_value", "on_error goes with action, call and wait only", key=True
            )
        elif step.on_error and step.on_error.retries and "action" not in kinds:
            self.report.add((*at, "on_error", "retries"), "invalid_value", "only actions are retried")
        if step.steps is not None and step.loop is None:
            self.report.add((*at, "steps"), "invalid_value", "steps goes with loop only", key=True)
        if step.steps is None and step.loop is not None:
            self.report.add(at, "missing", "steps is missing: what the loop does")

    def _check_action(self, step: Step, action: str, at: Location) -> None:
        spec = self.actions.spec(action, (*at, "action"))
        for name, value in step.inputs.items():
            lazy = spec is not None and name in spec.lazy
            roots = STEP_ROOTS | ITEM_ROOTS if lazy else STEP_ROOTS
            if lazy and name == "when":
                self._check_condition(value, (*at, "inputs", name), roots)
            else:
                self.scope.check(value, (*at, "inputs", name), secrets=not lazy, roots=roots)
        if spec is not None:
            self.actions.check_use(step, spec, at)
        if step.timeout is not None:
            check_duration(step.timeout, (*at, "timeout"), self.report, longest=LONGEST_TIMEOUT)
        if step.on_error:
            check_duration(step.on_error.delay, (*at, "on_error", "delay"), self.report, LONGEST_DELAY, zero=True)

    def _check_call(self, call: Call, at: Location) -> None:
        trigger = self.scope.known.flows.get(call.flow)
        if trigger is None:
            hint = self.report.did_you_mean(call.flow, self.scope.known.flows)
            self.report.add((*at, "flow"), "unknown_flow", f"there is no flow {call.flow}{hint}")
        elif trigger not in _CALLED_BY:
            detail = f"a {trigger} flow is not called: its trigger is flow or webhook"
            self.report.add((*at, "flow"), "invalid_value", detail)
        self.scope.check(call.inputs, (*at, "inputs"))

    def _check_condition(self, condition: Any, at: Location, roots: frozenset[str] = STEP_ROOTS) -> None:
        for location, detail in check_condition(condition):
            self.report.add((*at, *location), "bad_condition", detail)
        self.scope.check(condition, at, roots=roots)

    def _check_branch(self, key: str, cases: list[Case], at: Location) -> list[str]:
        if not cases:
            self.report.add(at, "invalid_value", "a branch needs at least one case")
        ran: list[str] = []
        for index, case in enumerate(cases):
            where = (*at, index)
            if (case.when is None) == (case.else_ is None):
                self.report.add(where, "invalid_value", "a case has either when or else: true")
            if case.else_ and index < len(cases) - 1:
                self.report.add((*where, "else"), "invalid_value", "else is the last case, and there is one", key=True)
            if case.when is not None:
                self._check_condition(case.when, (*where, "when"))
            self.scope.enclosing.append(Enclosing(key, index))
            inside = self.check_steps(case.steps, (*where, "steps"))
            self.scope.enclosing.pop()
            self.scope.forget(inside)
            ran += inside
        return [each for each in ran if self.scope.finish(each)]

    def _check_loop(self, step: Step, at: Location) -> None:
        if step.loop:
            self._check_range(step.loop, (*at, "loop"))
        if step.steps is None:
            return
        self.scope.enclosing.append(Enclosing(step.key))
        inside = self.check_steps(step.steps, (*at, "steps"))
        self.scope.enclosing.pop()
        self.scope.forget(inside)

    def _check_range(self, loop: Loop, at: Location) -> None:
        if (loop.over is None) == (loop.times is None):
            self.report.add(at, "invalid_value", "a loop has either over or times")
        over, times = loop.over, loop.times
        if over is not None and not isinstance(over, list | dict) and not _may_be_anything(over):
            self.report.add((*at, "over"), "wrong_type", "a loop goes over a list, a mapping or an expression")
        if isinstance(times, int) and times < 0:
            self.report.add((*at, "times"), "invalid_value", "times is at least 0")
        if isinstance(times, str) and not is_expression(times):
            self.report.add((*at, "times"), "wrong_type", "times is a whole number or an expression")
        self.scope.check(over, (*at, "over"))
        self.scope.check(times, (*at, "times"))

    def _check_stop(self, stop: Stop, at: Location) -> None:
        if stop.fail is not None and stop.model_fields_set != {"fail"}:
            self.report.add(at, "invalid_value", "fail stands alone: a failure has no status, headers or body")
        status = stop.status
        if isinstance(status, int) and not 200 <= status <= 599:
            self.report.add((*at, "status"), "invalid_value", "a status is from 200 to 599")
        if isinstance(status, str) and not is_expression(status):
            self.report.add((*at, "status"), "wrong_type", "a status is a whole number or an expression")
        for name in stop.headers or {}:
            if not is_of_a_flow(name):
                self.report.add((*at, "headers", name), "invalid_value", f"an answer cannot have the header {name}")
        for name in ("status", "headers", "body", "fail"):
            self.scope.check(getattr(stop, name), (*at, name))


def _may_be_anything(value: Any) -> bool:
    return isinstance(value, str) and is_expression(value)
