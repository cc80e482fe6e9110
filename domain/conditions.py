"""Conditions of branches and filters: `flowgraft/v1`'s operators and their strict semantics."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from domain.errors import StepFailed
from domain.jsontext import dumps
from domain.text import nearest, truncate
from domain.values import Location, evaluate

MAX_DEPTH = 64

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)


def holds(condition: Any, roots: Mapping[str, Any]) -> bool:
    """Evaluates a condition that `check_condition` accepts. Raises StepFailed `condition_error`."""
    return holds_with(condition, lambda operand: evaluate(operand, roots))


def holds_with(condition: Any, value_of: Callable[[Any], Any]) -> bool:
    """As `holds`, where `value_of` evaluates an operand."""
    operator, operand = _single(condition) or ("", None)
    if operator in _GROUPS and isinstance(operand, list):
        return _GROUPS[operator](holds_with(each, value_of) for each in operand)
    if operator == "not":
        return not holds_with(operand, value_of)
    if operator in _UNARY:
        return _UNARY[operator](value_of(operand))
    if operator in _BINARY and isinstance(operand, list) and len(operand) == 2:
        return _BINARY[operator](value_of(operand[0]), value_of(operand[1]))
    raise StepFailed("this is not a condition", code="condition_error", permanent=True)


def check_condition(condition: Any) -> list[tuple[Location, str]]:
    """What is wrong with a condition's shape, and where; nothing is evaluated."""
    return list(_problems(condition, (), 1))


def _problems(condition: Any, location: Location, depth: int) -> Iterator[tuple[Location, str]]:
    if depth > MAX_DEPTH:
        yield location, f"nested deeper than {MAX_DEPTH}"
        return
    single = _single(condition)
    if single is None:
        yield location, "a condition is exactly one operator with its values, such as {equal: [a, b]}"
        return
    operator, operand = single
    inside = (*location, str(operator))
    if operator in _GROUPS:
        if not isinstance(operand, list):
            yield inside, f"{operator} takes a list of conditions"
            return
        for index, each in enumerate(operand):
            yield from _problems(each, (*inside, index), depth + 1)
    elif operator == "not":
        yield from _problems(operand, inside, depth + 1)
    elif operator in _UNARY:
        if isinstance(operand, list):
            yield inside, f"{operator} takes one value, not a list"
    elif operator not in _BINARY:
        hint = nearest(str(operator), OPERATORS)
        yield inside, f"unknown operator {truncate(str(operator), 60)}" + (f"; did you mean {hint}?" if hint else "")
    elif not isinstance(operand, list) or len(operand) != 2:
        yield inside, f"{operator} takes a list of two values"


def _single(condition: Any) -> tuple[Any, Any] | None:
    return next(iter(condition.items())) if isinstance(condition, dict) and len(condition) == 1 else None


def equal(left: Any, right: Any) -> bool:
    """Deep and strict: numbers by value, unlike types never."""
    pending = [(left, right)]
    while pending:
        one, other = pending.pop()
        if kind_of(one) != kind_of(other):
            return False
        if isinstance(one, dict):
            if one.keys() != other.keys():
                return False
            pending.extend((one[key], other[key]) for key in one)
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pending.extend(zip(one, other, strict=True))
        elif one != other:
            return False
    return True


def contains(whole: Any, part: Any) -> bool:
    """Membership of a list, or text within text; anything else contains nothing."""
    if isinstance(whole, list):
        return any(equal(each, part) for each in whole)
    return isinstance(whole, str) and isinstance(part, str) and part in whole


def _ordered(name: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        if kind_of(left) != kind_of(right) or kind_of(left) not in ("number", "text"):
            raise _unlike(name, "two numbers or two texts", left, right)
        return compare(left, right)

    return apply


def _textual(name: str, compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        if not isinstance(left, str) or not isinstance(right, str):
            raise _unlike(name, "two texts", left, right)
        return compare(left, right)

    return apply


def _timed(name: str, compare: Callable[[datetime, datetime], bool]) -> Callable[[Any, Any], bool]:
    def apply(left: Any, right: Any) -> bool:
        one, other = _instant(left), _instant(right)
        if one is None or other is None:
            raise _unlike(name, "two dates or RFC 3339 timestamps", left, right)
        return compare(one, other)

    return apply


def _instant(value: Any) -> datetime | None:
    """A date is its midnight in UTC."""
    if not isinstance(value, str) or len(value) > 64 or not _INSTANT.fullmatch(value):
        return None
    try:
        instant = datetime.fromisoformat(value.upper())
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _unlike(operator: str, wanted: str, left: Any, right: Any) -> StepFailed:
    message = f"{operator} compares {wanted}, not {_described(left)} with {_described(right)}"
    return StepFailed(message, code="condition_error")


def _described(value: Any) -> str:
    kind = kind_of(value)
    if kind in ("null", "list", "object", "value"):
        return kind
    return f"{kind} {dumps(truncate(value, 40))}" if kind == "text" else f"{kind} {truncate(str(value).lower(), 40)}"


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return next((kind for kind, types in _KINDS if isinstance(value, types)), "value")


_KINDS = (("text", str), ("number", (int, float)), ("object", dict), ("list", list))
_GROUPS: dict[str, Callable[[Iterator[bool]], bool]] = {"all": all, "any": any}
_UNARY: dict[str, Callable[[Any], bool]] = {
    "exists": lambda value: value is not None,
    "empty": lambda value: value is None or (isinstance(value, str | list | dict) and not value),
    "is_true": lambda value: value is True,
    "is_false": lambda value: value is False,
}
_BINARY: dict[str, Callable[[Any, Any], bool]] = {
    "equal": equal,
    "not_equal": lambda left, right: not equal(left, right),
    "in": lambda left, right: contains(right, left),
    "not_in": lambda left, right: not contains(right, left),
    "contains": contains,
    "greater_than": _ordered("greater_than", lambda left, right: left > right),
    "greater_or_equal": _ordered("greater_or_equal", lambda left, right: left >= right),
    "less_than": _ordered("less_than", lambda left, right: left < right),
    "less_or_equal": _ordered("less_or_equal", lambda left, right: left <= right),
    "starts_with": _textual("starts_with", str.startswith),
    "ends_with": _textual("ends_with", str.endswith),
    "before": _timed("before", lambda left, right: left < right),
    "after": _timed("after", lambda left, right: left > right),
}
OPERATORS = (*_GROUPS, "not", *_UNARY, *_BINARY)
