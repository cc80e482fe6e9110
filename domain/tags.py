"""Tags: business keys of an execution, evaluated when it is accepted."""

from collections.abc import Mapping
from typing import Any

from domain.jsontext import dumps
from domain.text import clean_text, truncate
from domain.values import EvaluationTooLarge, evaluate

LONGEST = 200  # characters


def evaluate_tags(tags: Mapping[str, str], roots: Mapping[str, Any]) -> dict[str, str]:
    """Tag values as text. A tag whose value is absent or empty is left out; one that is no text is its JSON."""
    found = {}
    for key, template in tags.items():
        text = as_text(_value(template, roots))
        if text:
            found[key] = text
    return found


def evaluate_text(template: str, roots: Mapping[str, Any]) -> str:
    """A single one of them; empty when the value is absent."""
    return as_text(_value(template, roots))


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return truncate(clean_text(value if isinstance(value, str) else dumps(value)), LONGEST)


def _value(template: str, roots: Mapping[str, Any]) -> Any:
    try:
        return evaluate(template, roots)
    except EvaluationTooLarge:
        return None
