"""The `math` component. Decimal arithmetic: 0.1 + 0.2 is 0.3; whole numbers stay whole and exact."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import reduce
from operator import add, mul, sub
from typing import Annotated, Any, TypeVar

from pydantic import Field

from components.base import Action, ActionContext, Component, Inputs
from components.inputs import MOST_ITEMS, ItemPath, Items, Number, at, in_range
from domain.conditions import kind_of
from domain.errors import StepFailed

_N = TypeVar("_N", int, float)
_PRECISION = Context(prec=400)  # digits: enough for every whole number in range beside a fraction


class NumbersInputs(Inputs):
    numbers: Annotated[list[Number], Field(max_length=MOST_ITEMS)]


class PairInputs(Inputs):
    a: Number
    b: Number


class RoundInputs(Inputs):
    number: Number
    digits: Annotated[int, Field(ge=-50, le=50)] = 0


class SumInputs(Inputs):
    items: Items
    by: ItemPath | None = None


async def _add(_: ActionContext, inputs: NumbersInputs) -> int | float:
    return _total(inputs.numbers)


async def _multiply(_: ActionContext, inputs: NumbersInputs) -> int | float:
    return _fold(mul, [1, *inputs.numbers])


async def _subtract(_: ActionContext, inputs: PairInputs) -> int | float:
    return _fold(sub, [inputs.a, inputs.b])


async def _divide(_: ActionContext, inputs: PairInputs) -> int | float:
    """A whole number when both are whole and it comes out even."""
    if inputs.b == 0:
        raise StepFailed("b is 0: nothing can be divided by it", code="division_by_zero")
    if isinstance(inputs.a, int) and isinstance(inputs.b, int) and inputs.a % inputs.b == 0:
        return inputs.a // inputs.b
    with _arithmetic():
        return _plain(_decimal(inputs.a) / _decimal(inputs.b))


async def _round(_: ActionContext, inputs: RoundInputs) -> int | float:
    """Half away from zero, as on paper: 2.5 is 3, -2.5 is -3, 2.675 with two digits is 2.68."""
    if isinstance(inputs.number, int) and inputs.digits >= 0:
        return inputs.number
    with _arithmetic():
        rounded = _decimal(inputs.number).quantize(Decimal(1).scaleb(-inputs.digits), rounding=ROUND_HALF_UP)
        return int(rounded) if inputs.digits <= 0 else _plain(rounded)


async def _sum(_: ActionContext, inputs: SumInputs) -> int | float:
    values = [at(inputs.by, item) for item in inputs.items]
    for index, value in enumerate(values):
        if kind_of(value) != "number":
            message = f"items[{index}] has {kind_of(value)} where a number is wanted"
            raise StepFailed(message, code="not_a_number")
    return _total(values)


def _total(numbers: list[int | float]) -> int | float:
    return _fold(add, [0, *numbers])


def _fold(operation: Callable[[Any, Any], Any], numbers: list[int | float]) -> int | float:
    with _arithmetic():
        if all(isinstance(number, int) for number in numbers):
            return reduce(lambda left, right: _checked(operation(left, right)), numbers)
        return _plain(reduce(operation, map(_decimal, numbers)))


def _decimal(number: int | float) -> Decimal:
    """A fraction as it is written, not as the nearest binary one."""
    return Decimal(number) if isinstance(number, int) else Decimal(repr(number))


def _plain(number: Decimal) -> float:
    return _checked(float(number)) + 0.0  # never -0.0


def _checked(number: _N) -> _N:
    if not in_range(number):
        raise OverflowError
    return number


@contextmanager
def _arithmetic() -> Iterator[None]:
    try:
        with localcontext(_PRECISION):
            yield
    except ArithmeticError:
        raise StepFailed("the result is out of range", code="number_out_of_range") from None


component = Component(
    key="math",
    name="Math",
    actions=(
        Action(name="add", inputs=NumbersInputs, run=_add, summary="Adds numbers"),
        Action(name="subtract", inputs=PairInputs, run=_subtract, summary="a minus b"),
        Action(name="multiply", inputs=NumbersInputs, run=_multiply, summary="Multiplies numbers"),
        Action(name="divide", inputs=PairInputs, run=_divide, summary="a divided by b"),
        Action(name="round", inputs=RoundInputs, run=_round, summary="Rounds a number, halves away from zero"),
        Action(name="sum", inputs=SumInputs, run=_sum, summary="Adds up items, or one value of each"),
    ),
)
