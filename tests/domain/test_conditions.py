"""Strict conditions: what holds, what fails the step, and what a reader refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conditions import MAX_DEPTH, OPERATORS, check_condition, holds
from domain.errors import StepFailed

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 1.5]) | st.text("ab1", max_size=2)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=3)
)
ROOTS = {"steps": {"order": {"body": {"total": 12, "tags": ["new", "big"], "none": None}}}, "config": {"big": 10}}
UNLIKE: list[tuple[Any, Any]] = [
    (None, 1),
    (1, None),
    ("1", 1),
    (True, 1),
    (True, False),
    ([1], [1]),
    ({}, {}),
    (None, None),
]


def nested(depth: int) -> Any:
    condition: Any = {"is_true": True}
    for _ in range(depth - 1):
        condition = {"not": condition}
    return condition


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (0.0, False, False),
        ("5", 5, False),
        (None, None, True),
        (None, "", False),
        (None, 0, False),
        ("a", "A", False),
        ([1, [2]], [1.0, [2]], True),
        ([1], [True], False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ({"a": 1, "b": {"c": 0}}, {"b": {"c": 0.0}, "a": 1}, True),
        ({"a": {"b": 1}}, {"a": {"b": True}}, False),
        ({"a": None}, {}, False),
        ([], {}, False),
        (2**53 + 1, float(2**53), False),
    ],
)
def test_equal_is_strict_and_deep(left: Any, right: Any, expected: bool) -> None:
    assert holds({"equal": [left, right]}, {}) is expected
    assert holds({"not_equal": [left, right]}, {}) is not expected


def test_equal_of_very_deep_values_needs_no_stack() -> None:
    left: Any = 1
    right: Any = 1.0
    for _ in range(50_000):
        left, right = [left], [right]
    roots = {"steps": {"left": left, "right": right}}
    assert holds({"equal": ["{{ steps.left }}", "{{ steps.right }}"]}, roots)


@given(VALUES, VALUES)
def test_equal_is_symmetric(left: Any, right: Any) -> None:
    assert holds({"equal": [left, right]}, {}) == holds({"equal": [right, left]}, {})
    assert holds({"equal": [left, left]}, {})


@given(VALUES, VALUES)
def test_lenient_operators_never_fail(left: Any, right: Any) -> None:
    assert holds({"equal": [left, right]}, {}) != holds({"not_equal": [left, right]}, {})
    assert holds({"in": [left, right]}, {}) == holds({"contains": [right, left]}, {})
    assert holds({"in": [left, right]}, {}) != holds({"not_in": [left, right]}, {})


@given(VALUES, VALUES)
def test_order_is_total_within_a_type_and_fails_across(left: Any, right: Any) -> None:
    orderable = type(left) is type(right) is str or {type(left), type(right)} <= {int, float}
    if not orderable:
        with pytest.raises(StepFailed):
            holds({"less_than": [left, right]}, {})
        return
    less = holds({"less_than": [left, right]}, {})
    assert less == holds({"greater_than": [right, left]}, {})
    assert less != holds({"greater_or_equal": [left, right]}, {})


@pytest.mark.parametrize(
    ("whole", "part", "expected"),
    [
        ([1, 2], 2.0, True),
        ([1], True, False),
        ([{"a": 1}], {"a": 1}, True),
        (["abc"], "b", False),
        ("abc", "b", True),
        ("abc", "", True),
        ("a1", 1, False),
        (None, None, False),
        ({"a": 1}, "a", False),
    ],
)
def test_contains_is_membership_or_substring(whole: Any, part: Any, expected: bool) -> None:
    assert holds({"contains": [whole, part]}, {}) is expected


@pytest.mark.parametrize(
    "condition",
    [
        {"greater_than": ["{{ steps.order.body.total }}", "{{ config.big }}"]},
        {"greater_or_equal": [2, 2.0]},
        {"less_than": ["Z", "a"]},
        {"less_or_equal": [-1, 10**400]},
        {"starts_with": ["order-7", "order-"]},
        {"ends_with": ["order-7", "-7"]},
        {"in": ["big", "{{ steps.order.body.tags }}"]},
        {"exists": "{{ steps.order }}"},
        {"exists": ""},
        {"not": {"exists": "{{ steps.order.body.none }}"}},
        {"not": {"exists": "{{ steps.gone.body }}"}},
        {"empty": "{{ steps.gone }}"},
        {"empty": ""},
        {"empty": {}},
        {"not": {"empty": 0}},
        {"not": {"empty": False}},
        {"not": {"empty": " "}},
        {"is_true": True},
        {"not": {"is_true": 1}},
        {"is_false": False},
        {"not": {"is_false": None}},
        {"all": []},
        {"not": {"any": []}},
        {"any": [{"is_true": False}, {"all": [{"is_true": True}, {"is_false": False}]}]},
        {"not": {"all": [{"is_true": True}, {"is_true": False}]}},
    ],
)
def test_condition_that_holds(condition: Any) -> None:
    assert check_condition(condition) == []
    assert holds(condition, ROOTS)


def test_groups_stop_at_the_first_answer() -> None:
    failing = {"greater_than": [None, 1]}
    assert holds({"any": [{"is_true": True}, failing]}, {})
    assert not holds({"all": [{"is_true": False}, failing]}, {})
    with pytest.raises(StepFailed):
        holds({"all": [{"is_true": True}, failing]}, {})


@pytest.mark.parametrize("operator", ["greater_than", "greater_or_equal", "less_than", "less_or_equal"])
@pytest.mark.parametrize(("left", "right"), UNLIKE)
def test_order_of_unlike_types_fails(operator: str, left: Any, right: Any) -> None:
    with pytest.raises(StepFailed, match=operator) as caught:
        holds({operator: [left, right]}, {})
    assert caught.value.code == "condition_error"
    assert not caught.value.permanent


@pytest.mark.parametrize("operator", ["starts_with", "ends_with", "before", "after"])
@pytest.mark.parametrize(("left", "right"), UNLIKE)
def test_text_operators_of_unlike_types_fail(operator: str, left: Any, right: Any) -> None:
    with pytest.raises(StepFailed, match=operator):
        holds({operator: [left, right]}, {})


def test_condition_error_names_both_values_briefly() -> None:
    with pytest.raises(StepFailed) as caught:
        holds({"less_than": ["x" * 500, None]}, {})
    assert caught.value.message == f'less_than compares two numbers or two texts, not text "{"x" * 39}…" with null'
    with pytest.raises(StepFailed, match="not boolean true with object"):
        holds({"less_than": [True, {"a": 1}]}, {})


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-02-28", "2024-02-29"),
        ("2024-05-01", "2024-05-01T00:00:01Z"),
        ("2024-05-01T10:00:00+02:00", "2024-05-01T09:00:00Z"),
        ("2024-05-01t10:00:00.1z", "2024-05-01 10:00:00.25+00:00"),
        ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.123456789-23:59"),
    ],
)
def test_before_and_after_compare_instants(earlier: str, later: str) -> None:
    assert holds({"before": [earlier, later]}, {})
    assert holds({"after": [later, earlier]}, {})
    assert not holds({"before": [later, earlier]}, {})
    assert not holds({"after": [earlier, earlier]}, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2024-02-30",
        "20240501",
        "2024-W01-1",
        "2024-5-1",
        "2024-05-01\n",
        "2024-05-01T10:00:00",
        "2024-05-01T10:00Z",
        "2024-05-01T25:00:00Z",
        "2024-05-01T10:00:00+99:00",
        "2024-05-01T10:00:00." + "1" * 99 + "Z",
    ],
)
def test_before_refuses_what_is_no_instant(text: str) -> None:
    with pytest.raises(StepFailed, match="RFC 3339"):
        holds({"before": ["2024-05-01", text]}, {})


@pytest.mark.parametrize(
    ("condition", "location", "message"),
    [
        (None, (), "exactly one operator"),
        ({}, (), "exactly one operator"),
        ({"equal": [1, 1], "in": [1, []]}, (), "exactly one operator"),
        ({"equals": [1, 1]}, ("equals",), "did you mean equal?"),
        ({"zzz": [1, 1]}, ("zzz",), "unknown operator zzz"),
        ({True: 1}, ("True",), "unknown operator"),
        ({"equal": [1]}, ("equal",), "two values"),
        ({"equal": "{{ steps.x }}"}, ("equal",), "two values"),
        ({"exists": ["{{ steps.x }}"]}, ("exists",), "one value"),
        ({"all": {"is_true": True}}, ("all",), "list of conditions"),
        ({"any": [{"is_true": True}, {"not": []}]}, ("any", 1, "not"), "exactly one operator"),
    ],
)
def test_check_condition_locates_the_problem(condition: Any, location: tuple[str | int, ...], message: str) -> None:
    [(found, text)] = check_condition(condition)
    assert found == location
    assert message in text


def test_check_condition_reports_every_problem() -> None:
    problems = check_condition({"all": [{"equals": [1, 2]}, {"in": [1]}, {"is_true": True}]})
    assert [location for location, _ in problems] == [("all", 0, "equals"), ("all", 1, "in")]


def test_check_condition_bounds_the_depth() -> None:
    assert check_condition(nested(MAX_DEPTH)) == []
    assert holds(nested(MAX_DEPTH), {}) is False
    [(location, message)] = check_condition(nested(5000))
    assert len(location) == MAX_DEPTH
    assert message == "nested deeper than 64"


@pytest.mark.parametrize(
    "condition", [None, {}, {"equals": [1, 1]}, {"all": 1}, {"equal": [1]}, {"is_true": 1, "in": 1}]
)
def test_holds_of_an_unchecked_condition_is_permanent(condition: Any) -> None:
    with pytest.raises(StepFailed) as caught:
        holds(condition, {})
    assert caught.value.permanent


def test_operators_are_those_of_the_definition() -> None:
    groups = {"all", "any", "not"}
    lenient = {"equal", "not_equal", "in", "not_in", "contains"}
    strict = {"greater_than", "greater_or_equal", "less_than", "less_or_equal"}
    strict |= {"starts_with", "ends_with", "before", "after"}
    unary = {"exists", "empty", "is_true", "is_false"}
    assert set(OPERATORS) == groups | lenient | strict | unary
