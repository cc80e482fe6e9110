"""The `math` component."""

from fractions import Fraction
from math import isclose, isfinite, prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import StepFailed
from tests.fakes import run_action

WHOLE = st.integers(-(10**12), 10**12)
FRACTIONS = st.floats(-1e12, 1e12, allow_nan=False)


async def failure(key: str, inputs: dict[str, Any]) -> StepFailed:
    with pytest.raises(StepFailed) as failed:
        await run_action(key, inputs)
    return failed.value


@pytest.mark.parametrize(
    ("key", "inputs", "expected"),
    [
        ("add", {"numbers": []}, 0),
        ("add", {"numbers": [1, 2, 3]}, 6),
        ("add", {"numbers": [0.1, 0.2]}, 0.3),
        ("add", {"numbers": [1, 0.5]}, 1.5),
        ("subtract", {"a": 5, "b": 7}, -2),
        ("subtract", {"a": 0.3, "b": 0.1}, 0.2),
        ("multiply", {"numbers": []}, 1),
        ("multiply", {"numbers": [2, 3, 7]}, 42),
        ("multiply", {"numbers": [1.1, 3]}, 3.3),
        ("divide", {"a": 6, "b": 3}, 2),
        ("divide", {"a": 7, "b": -2}, -3.5),
        ("divide", {"a": 1, "b": 3}, 1 / 3),
        ("divide", {"a": 6.0, "b": 3}, 2.0),
        ("sum", {"items": [1, 2.5]}, 3.5),
        ("sum", {"items": [{"a": {"b": 1}}, {"a": {"b": 2}}], "by": "a.b"}, 3),
    ],
)
async def test_arithmetic(key: str, inputs: dict[str, Any], expected: int | float) -> None:
    result = await run_action(f"math.{key}", inputs)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("number", "digits", "expected"),
    [
        (2.5, 0, 3),
        (-2.5, 0, -3),
        (3.5, 0, 4),
        (2.675, 2, 2.68),
        (1.005, 2, 1.01),
        (-0.4, 0, 0),
        (-0.004, 2, 0.0),
        (1250, -2, 1300),
        (1249.9, -2, 1200),
        (7, 2, 7),
        (1e300, 0, 10**300),
        (4, -50, 0),
        (0.1, 50, 0.1),
    ],
)
async def test_round_takes_halves_away_from_zero(number: Any, digits: int, expected: int | float) -> None:
    result = await run_action("math.round", {"number": number, "digits": digits})
    assert repr(result) == repr(expected)


@given(st.lists(WHOLE, max_size=20))
async def test_whole_numbers_are_exact(numbers: list[int]) -> None:
    assert await run_action("math.sum", {"items": numbers}) == sum(numbers)
    assert await run_action("math.multiply", {"numbers": numbers}) == prod(numbers)


@given(st.lists(WHOLE | FRACTIONS, min_size=1, max_size=20))
async def test_sums_are_as_near_as_can_be(numbers: list[int | float]) -> None:
    exact = float(sum(Fraction(repr(number)) for number in numbers))
    assert await run_action("math.add", {"numbers": numbers}) == exact


@given(FRACTIONS, FRACTIONS.filter(lambda number: abs(number) > 1e-9))
async def test_divide_undoes_multiply(a: float, b: float) -> None:
    product = await run_action("math.multiply", {"numbers": [a, b]})
    assert isfinite(product)
    assert isclose(await run_action("math.divide", {"a": product, "b": b}), a, rel_tol=1e-12, abs_tol=1e-280)


@pytest.mark.parametrize("b", [0, 0.0, -0.0])
async def test_division_by_zero(b: float) -> None:
    assert (await failure("math.divide", {"a": 1, "b": b})).code == "division_by_zero"


@pytest.mark.parametrize(
    ("key", "inputs"),
    [
        ("add", {"numbers": [1e308, 1e308]}),
        ("multiply", {"numbers": [2**1000, 2**1000]}),
        ("multiply", {"numbers": [1e300] * 4000}),
        ("divide", {"a": 1e308, "b": 1e-10}),
        ("subtract", {"a": -(2**1023) + 1, "b": 2}),
        ("sum", {"items": [10**4000, 1]}),
        ("sum", {"items": [10**4000, 0.5]}),
    ],
)
async def test_result_out_of_range(key: str, inputs: dict[str, Any]) -> None:
    assert (await failure(f"math.{key}", inputs)).code == "number_out_of_range"


@pytest.mark.parametrize(
    ("key", "inputs", "named"),
    [
        ("add", {"numbers": [1, "2"]}, r"numbers\.1"),
        ("add", {"numbers": [True]}, r"numbers\.0"),
        ("add", {"numbers": None}, "numbers"),
        ("subtract", {"a": None, "b": 1}, "a\n"),
        ("divide", {"a": 1, "b": "2"}, "b\n"),
        ("round", {"number": "2.5"}, "number"),
        ("round", {"number": 2.5, "digits": 51}, "digits"),
    ],
)
async def test_what_is_no_number_is_named(key: str, inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        await run_action(f"math.{key}", inputs)


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"items": [1, "2"]}, r"items\[1\] has text"),
        ({"items": [{"a": 1}, {}], "by": "a"}, r"items\[1\] has null"),
        ({"items": [False]}, r"items\[0\] has boolean"),
    ],
)
async def test_sum_names_the_item_without_a_number(inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(StepFailed, match=named):
        await run_action("math.sum", inputs)
