"""The `data` component: objects, lists and JSON text. `filter` and `map` evaluate their template once per item."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import Field, StrictBool

from components.base import Action, ActionContext, Component, Inputs
from components.inputs import MOST_ITEMS, ItemPath, Items, at
from domain.binding import evaluate_bound, holds_bound
from domain.conditions import kind_of
from domain.errors import StepFailed
from domain.jsontext import JsonRefused, dumps, strict_loads
from domain.values import EvaluationTooLarge

LARGEST = 8 * 1024 * 1024  # nodes and characters that `map` may make
_BREATH = 500  # items between two chances for other work in this process


class ObjectInputs(Inputs):
    values: dict[str, Any]


class PickInputs(Inputs):
    from_: dict[str, Any] = Field(alias="from")
    keys: list[str]


class MergeInputs(Inputs):
    objects: Annotated[list[dict[str, Any]], Field(max_length=MOST_ITEMS)]


class ItemsInputs(Inputs):
    items: Items


class SortInputs(ItemsInputs):
    by: ItemPath | None = None
    descending: StrictBool = False


class LengthInputs(Inputs):
    of: list[Any] | dict[str, Any] | str


class ParseJsonInputs(Inputs):
    text: str


class FormatJsonInputs(Inputs):
    value: Any
    indent: Annotated[int, Field(ge=0, le=8)] = 0


async def _object(_: ActionContext, inputs: ObjectInputs) -> dict[str, Any]:
    return inputs.values


async def _pick(_: ActionContext, inputs: PickInputs) -> dict[str, Any]:
    return {key: inputs.from_[key] for key in inputs.keys if key in inputs.from_}


async def _merge(_: ActionContext, inputs: MergeInputs) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for each in inputs.objects:
        merged.update(each)
    return merged


async def _filter(context: ActionContext, inputs: ItemsInputs) -> list[Any]:
    when = context.lazy["when"]
    with _bounded("when"):
        return [roots["item"] async for roots in _each(inputs.items) if holds_bound(when, roots)]


async def _map(context: ActionContext, inputs: ItemsInputs) -> list[Any]:
    left = LARGEST
    results = []
    with _bounded("to"):
        async for roots in _each(inputs.items):
            results.append(evaluate_bound(context.lazy["to"], roots, left))
            left -= _weight(results[-1], left)
            if left < 0:
                raise EvaluationTooLarge("the result is too large")
    return results


@contextmanager
def _bounded(name: str) -> Iterator[None]:
    try:
        yield
    except EvaluationTooLarge as error:
        raise StepFailed(f"{name}: {error}", code="output_too_large", permanent=True) from None


async def _each(items: list[Any]) -> AsyncIterator[dict[str, Any]]:
    for index, item in enumerate(items):
        if index % _BREATH == _BREATH - 1:
            await asyncio.sleep(0)
        yield {"item": item, "index": index}


def _weight(value: Any, limit: int) -> int:
    """Nodes and characters when written out; no more than a step past the limit is looked at."""
    weight = 0
    pending = [value]
    while pending and weight <= limit:
        item = pending.pop()
        weight += 1 + len(item) if isinstance(item, str) else 1
        if isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return weight


async def _sort(_: ActionContext, inputs: SortInputs) -> list[Any]:
    keys = [at(inputs.by, item) for item in inputs.items]
    present = [index for index, key in enumerate(keys) if key is not None]
    for index in present:
        if kind_of(keys[index]) != kind_of(keys[present[0]]) or isinstance(keys[index], list | dict):
            raise _unordered(present[0], keys[present[0]], index, keys[index])
    present.sort(key=lambda index: keys[index], reverse=inputs.descending)
    absent = [index for index, key in enumerate(keys) if key is None]
    return [inputs.items[index] for index in present + absent]


def _unordered(first: int, one: Any, second: int, other: Any) -> StepFailed:
    what = f"items[{first}], by {kind_of(one)}, and items[{second}], by {kind_of(other)}"
    return StepFailed(f"{what}, have no order", code="unlike_types")


async def _first(_: ActionContext, inputs: ItemsInputs) -> Any:
    return inputs.items[0] if inputs.items else None


async def _last(_: ActionContext, inputs: ItemsInputs) -> Any:
    return inputs.items[-1] if inputs.items else None


async def _length(_: ActionContext, inputs: LengthInputs) -> int:
    return len(inputs.of)


async def _flatten(_: ActionContext, inputs: ItemsInputs) -> list[Any]:
    flat: list[Any] = []
    for item in inputs.items:
        flat.extend(item if isinstance(item, list) else [item])
        if len(flat) > MOST_ITEMS:
            raise StepFailed(f"more than {MOST_ITEMS:,} items", code="too_many_items", permanent=True)
    return flat


async def _parse_json(_: ActionContext, inputs: ParseJsonInputs) -> Any:
    try:
        return strict_loads(inputs.text)
    except JsonRefused as error:
        details = None if error.position is None else {"position": error.position}
        raise StepFailed(f"text cannot be read as JSON: {error}", code="invalid_json", details=details) from None


async def _format_json(_: ActionContext, inputs: FormatJsonInputs) -> str:
    if inputs.indent == 0:
        return dumps(inputs.value)
    return json.dumps(inputs.value, ensure_ascii=False, indent=inputs.indent, allow_nan=False)


component = Component(
    key="data",
    name="Data",
    actions=(
        Action(name="object", inputs=ObjectInputs, run=_object, summary="Makes an object of named values"),
        Action(name="pick", inputs=PickInputs, run=_pick, summary="Keeps some keys of an object"),
        Action(name="merge", inputs=MergeInputs, run=_merge, summary="Joins objects; later ones win"),
        Action(
            name="filter",
            inputs=ItemsInputs,
            run=_filter,
            summary="Keeps the items for which a condition holds",
            lazy=frozenset({"when"}),
        ),
        Action(
            name="map",
            inputs=ItemsInputs,
            run=_map,
            summary="Makes a list of one value per item",
            lazy=frozenset({"to"}),
        ),
        Action(name="sort", inputs=SortInputs, run=_sort, summary="Orders items; those without a value come last"),
        Action(name="first", inputs=ItemsInputs, run=_first, summary="The first item, or null"),
        Action(name="last", inputs=ItemsInputs, run=_last, summary="The last item, or null"),
        Action(name="length", inputs=LengthInputs, run=_length, summary="How long a list, an object or a text is"),
        Action(
            name="flatten", inputs=ItemsInputs, run=_flatten, summary="Puts the items of inner lists in their place"
        ),
        Action(name="parse_json", inputs=ParseJsonInputs, run=_parse_json, summary="Reads JSON text"),
        Action(name="format_json", inputs=FormatJsonInputs, run=_format_json, summary="Writes a value as JSON text"),
    ),
)
