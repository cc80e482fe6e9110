"""Options that an action lists live: the paths of `options_from`, and what they find in what the action returns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from domain.config.scalars import LONGEST_OPTION, number_misfit
from domain.definitions.model import OptionsFrom
from domain.errors import StepFailed
from domain.text import clean_text, truncate
from domain.values import Path, lookup, parse_path

MOST_OPTIONS = 1000


@dataclass(frozen=True)
class Option:
    """`value` is what a field keeps, `label` what people see."""

    value: str | int | float
    label: str


def item_path(text: str) -> Path:
    """A path such as `body.regions` or `[0].name`, with the root `item`. Raises PathSyntax."""
    return parse_path(f"item{text}" if text.startswith("[") else f"item.{text}")


def options_in(spec: OptionsFrom, output: Any) -> list[Option]:
    """Each value once, in the order of the list. Raises StepFailed where there is no list of anything usable."""
    items = _at(spec.items, output)
    if isinstance(items, dict):
        items = [{"key": key, "value": value} for key, value in items.items()]
    if not isinstance(items, list):
        where = f" at {spec.items}" if spec.items else ""
        raise StepFailed(f"{spec.action} answered, but there is no list{where}", code="no_options")
    found: dict[tuple[bool, object], Option] = {}
    for option in _options(spec, items[:MOST_OPTIONS]):
        found.setdefault((isinstance(option.value, str), option.value), option)
    if items and not found:
        where = spec.value or "its place"
        raise StepFailed(f"No item of the list has a text or a number at {where}", code="no_options")
    return list(found.values())


def _options(spec: OptionsFrom, items: list[Any]) -> Iterator[Option]:
    for item in items:
        value = _at(spec.value, item)
        if _is_usable(value):
            label = _at(spec.label, item) if spec.label else value
            yield Option(value, truncate(clean_text(str(value if label is None else label)), LONGEST_OPTION))


def _is_usable(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= LONGEST_OPTION and clean_text(value) == value
    return number_misfit(value) is None


def _at(path: str | None, item: Any) -> Any:
    return item if path is None else lookup(item_path(path), {"item": item})
