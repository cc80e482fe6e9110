"""The `text` component: join, split, replace, and the case and edges of text."""

from typing import Annotated

from pydantic import Field

from components.base import Action, ActionContext, Component, Inputs
from components.inputs import MOST_ITEMS, Items, as_text
from domain.errors import StepFailed

LONGEST = 8 * 1024 * 1024  # characters
_NotEmpty = Annotated[str, Field(min_length=1)]


class TextInputs(Inputs):
    text: str


class JoinInputs(Inputs):
    items: Items
    separator: str = ""


class SplitInputs(TextInputs):
    separator: _NotEmpty


class ReplaceInputs(TextInputs):
    find: _NotEmpty
    with_: str = Field(alias="with")


async def _join(_: ActionContext, inputs: JoinInputs) -> str:
    """Items as templates put them into text: objects as JSON, null as nothing."""
    pieces = [as_text(item) for item in inputs.items]
    _ensure_short(sum(map(len, pieces)) + len(inputs.separator) * max(len(pieces) - 1, 0))
    return inputs.separator.join(pieces)


async def _split(_: ActionContext, inputs: SplitInputs) -> list[str]:
    if inputs.text.count(inputs.separator) >= MOST_ITEMS:
        raise StepFailed(f"more than {MOST_ITEMS:,} pieces", code="too_many_items", permanent=True)
    return inputs.text.split(inputs.separator)


async def _replace(_: ActionContext, inputs: ReplaceInputs) -> str:
    growth = len(inputs.with_) - len(inputs.find)
    _ensure_short(len(inputs.text) + growth * inputs.text.count(inputs.find))
    return inputs.text.replace(inputs.find, inputs.with_)


async def _upper(_: ActionContext, inputs: TextInputs) -> str:
    return inputs.text.upper()


async def _lower(_: ActionContext, inputs: TextInputs) -> str:
    return inputs.text.lower()


async def _trim(_: ActionContext, inputs: TextInputs) -> str:
    return inputs.text.strip()


def _ensure_short(length: int) -> None:
    if length > LONGEST:
        raise StepFailed(
            f"the text would be longer than {LONGEST:,} characters", code="output_too_large", permanent=True
        )


component = Component(
    key="text",
    name="Text",
    actions=(
        Action(name="join", inputs=JoinInputs, run=_join, summary="Joins items into one text"),
        Action(name="split", inputs=SplitInputs, run=_split, summary="Splits text at a separator"),
        Action(name="replace", inputs=ReplaceInputs, run=_replace, summary="Replaces every occurrence of a text"),
        Action(name="upper", inputs=TextInputs, run=_upper, summary="Upper case"),
        Action(name="lower", inputs=TextInputs, run=_lower, summary="Lower case"),
        Action(name="trim", inputs=TextInputs, run=_trim, summary="Without white space at its edges"),
    ),
)
