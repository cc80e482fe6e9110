"""The `state` component: values that outlive the step, kept per execution, flow, instance or integration."""

from typing import Annotated, Any

from pydantic import Field

from components.base import Action, ActionContext, Component, Inputs, Scope
from components.inputs import Number, in_range
from domain.conditions import equal, kind_of
from domain.errors import StepFailed
from domain.jsontext import dumps
from domain.text import truncate

MOST_APPENDED = 10_000
_SHOWN = 200


class KeyInputs(Inputs):
    key: Annotated[str, Field(min_length=1, max_length=200)]
    scope: Scope = "flow"


class GetInputs(KeyInputs):
    default: Any = None


class SetInputs(KeyInputs):
    """With `expect`, null included, the value is set only if the present one equals it."""

    value: Any
    expect: Any = None


class IncrementInputs(KeyInputs):
    by: Number = 1


class AppendInputs(KeyInputs):
    value: Any
    max: Annotated[int, Field(ge=1, le=MOST_APPENDED)] | None = None


async def _get(context: ActionContext, inputs: GetInputs) -> Any:
    found = await context.state.get(inputs.scope, inputs.key)
    return inputs.default if found is None else found


async def _set(context: ActionContext, inputs: SetInputs) -> dict[str, Any]:
    if "expect" in inputs.model_fields_set:
        found = await context.state.get(inputs.scope, inputs.key)
        if not equal(found, inputs.expect):
            raise _changed(inputs, found)
    await context.state.put(inputs.scope, inputs.key, inputs.value)
    return {"value": inputs.value}


def _changed(inputs: SetInputs, found: Any) -> StepFailed:
    expected, present = (truncate(dumps(value), _SHOWN) for value in (inputs.expect, found))
    return StepFailed(f"{inputs.key} is {present}, expected {expected}", code="state_changed")


async def _delete(context: ActionContext, inputs: KeyInputs) -> dict[str, bool]:
    return {"deleted": await context.state.delete(inputs.scope, inputs.key)}


async def _increment(context: ActionContext, inputs: IncrementInputs) -> int | float:
    found = await context.state.get(inputs.scope, inputs.key)
    present = 0 if found is None else found
    if kind_of(present) != "number":
        raise StepFailed(f"{inputs.key} is {kind_of(found)}, not a number", code="not_a_number")
    if not in_range(present) or not in_range(number := present + inputs.by):
        raise StepFailed(f"{inputs.key} would be out of range", code="number_out_of_range")
    await context.state.put(inputs.scope, inputs.key, number)
    return number


async def _append(context: ActionContext, inputs: AppendInputs) -> list[Any]:
    found = await context.state.get(inputs.scope, inputs.key)
    if found is not None and not isinstance(found, list):
        raise StepFailed(f"{inputs.key} is {kind_of(found)}, not a list", code="not_a_list")
    items = [*(found or []), inputs.value]
    if inputs.max is not None:
        items = items[-inputs.max :]
    if len(items) > MOST_APPENDED:
        message = f"{inputs.key} holds {MOST_APPENDED:,} items, the most there may be: give max to keep the last ones"
        raise StepFailed(message, code="too_many_items")
    await context.state.put(inputs.scope, inputs.key, items)
    return items


component = Component(
    key="state",
    name="State",
    actions=(
        Action(name="get", inputs=GetInputs, run=_get, summary="Reads a value"),
        Action(name="set", inputs=SetInputs, run=_set, summary="Keeps a value, if wanted only when nobody changed it"),
        Action(name="delete", inputs=KeyInputs, run=_delete, summary="Forgets a value"),
        Action(name="increment", inputs=IncrementInputs, run=_increment, summary="Adds to a number and keeps it"),
        Action(name="append", inputs=AppendInputs, run=_append, summary="Adds an item to the end of a list"),
    ),
)
