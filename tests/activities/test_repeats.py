"""What a step's `on_error` and a flow's `retry` repeat: every row of the table in docs/definition.md, by its causes."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from components.base import Action, ActionContext, Component, Inputs
from domain.conditions import holds
from domain.errors import StepFailed
from domain.executions import RetryRule
from domain.messages import Failure
from store.engine import Database
from tests.activities.kit import Kit, definition, run_step_input
from tests.fakes import Script, response
from workflows import failures

PAGE = (Path(__file__).parents[2] / "docs" / "definition.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.+?) \| (yes|no|–) \| (yes|no) \| (yes|no) \|$", re.MULTILINE)
TABLE = {match[1]: match.groups()[1:] for match in ROW.finditer(PAGE)}
TRANSIENT, FLOW_ONLY, LASTING, HOPELESS, MEANT = TABLE
URL: dict[str, Any] = {"url": "https://shop.example.com"}

Cause = Callable[[Kit], Awaitable[Failure]]


class NoInputs(Inputs):
    pass


async def _hang(context: ActionContext, inputs: NoInputs) -> None:
    await asyncio.sleep(10)


async def _break(context: ActionContext, inputs: NoInputs) -> None:
    raise ZeroDivisionError("a bug")


async def _swell(context: ActionContext, inputs: NoInputs) -> str:
    return "x" * (8 * 1024 * 1024)


ACTIONS = {"hang": _hang, "break": _break, "swell": _swell}
ACME = Component("acme", "Acme", tuple(Action(key, NoInputs, run, key, local=False) for key, run in ACTIONS.items()))


def answered(script: Script) -> Cause:
    async def fail(kit: Kit) -> Failure:
        kit.http.script = [script]
        return await tried(kit, "http.get", URL)

    return fail


def done(action: str, inputs: dict[str, Any] | None = None) -> Cause:
    async def fail(kit: Kit) -> Failure:
        return await tried(kit, action, inputs or {})

    return fail


def told(failure: Failure) -> Cause:
    async def fail(_: Kit) -> Failure:
        return failure

    return fail


async def tried(kit: Kit, action: str, inputs: dict[str, Any]) -> Failure:
    row = await kit.accepted(await kit.made(definition({})))
    error = await kit.step_fails(run_step_input(row, action, inputs, timeout_seconds=1.0))
    return Failure(**error.details[0])


async def compared(_: Kit) -> Failure:
    with pytest.raises(StepFailed) as caught:
        holds({"greater_than": ["a", 1]}, {})
    return failures.of_evaluation(caught.value, "size")


CAUSES: list[tuple[str, str, Cause]] = [
    *((TRANSIENT, str(status), answered(response(status))) for status in (408, 425, 429, 500, 502, 503, 504)),
    (TRANSIENT, "connection", answered(StepFailed("refused", code="connection_error", transient=True))),
    (TRANSIENT, "timeout", done("acme.hang")),
    (FLOW_ONLY, "flow_timeout", told(failures.flow_timeout("15m"))),
    *((LASTING, str(status), answered(response(status))) for status in (400, 401, 404, 409, 422)),
    (LASTING, "inputs", done("http.get", {"url": 7})),
    (LASTING, "condition", compared),
    (LASTING, "bug", done("acme.break")),
    (HOPELESS, "url", done("http.get", {"url": "ftp://shop.example.com"})),
    (HOPELESS, "header", done("http.get", URL | {"headers": {"a b": "c"}})),
    (HOPELESS, "address", answered(StepFailed("private", code="egress_denied", permanent=True))),
    (HOPELESS, "output", done("acme.swell")),
    (HOPELESS, "action", done("acme.frobnicate")),
    (MEANT, "stop", told(Failure("stopped", "no more", "end", permanent=True))),
]


@pytest.fixture
def kit(database: Database) -> Kit:
    return Kit(database, plugins=(ACME,))


def test_table_is_the_one_that_is_meant() -> None:
    assert len(TABLE) == 5
    assert "5xx" in TRANSIENT
    assert "stop" in MEANT


@pytest.mark.parametrize(("row", "cause"), [(row, cause) for row, _, cause in CAUSES], ids=[each[1] for each in CAUSES])
async def test_row_of_the_table_holds(kit: Kit, row: str, cause: Cause) -> None:
    failure = await cause(kit)
    step, flow, transient_only = TABLE[row]
    if step != "–":
        assert failure.transient == (step == "yes")
    for rule, said in ((RetryRule(2), flow), (RetryRule(2, transient_only=True), transient_only)):
        assert rule.repeats(1, transient=failure.transient, permanent=failure.permanent) == (said == "yes")
        assert not rule.repeats(2, transient=failure.transient, permanent=failure.permanent)
