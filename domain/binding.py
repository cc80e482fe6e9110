"""Lazy inputs: what the workflow looks up once, so that an action can evaluate a template or condition per item.

Bound values are data and never read as templates, whatever text they hold.
"""

from collections.abc import Callable, Mapping, Set
from typing import Any

from domain.conditions import holds_with
from domain.values import LIMIT, Path, evaluate_with, lookup, paths_in

ITEM_ROOTS = frozenset({"item", "index"})


def bind(template: Any, roots: Mapping[str, Any], free: Set[str] = ITEM_ROOTS) -> dict[str, Any]:
    """The template with the value of every path whose root is not free. Raises PathSyntax."""
    paths = {path.text: path for _, path in paths_in(template) if path.root not in free}
    return {"template": template, "bindings": {text: lookup(path, roots) for text, path in paths.items()}}


def evaluate_bound(bound: Mapping[str, Any], free_roots: Mapping[str, Any], limit: int = LIMIT) -> Any:
    """As `domain.values.evaluate`; a path that was neither bound nor is free is absent."""
    return evaluate_with(bound["template"], _resolver(bound, free_roots), limit)


def holds_bound(bound: Mapping[str, Any], free_roots: Mapping[str, Any]) -> bool:
    """As `domain.conditions.holds`."""
    resolve = _resolver(bound, free_roots)
    return holds_with(bound["template"], lambda operand: evaluate_with(operand, resolve))


def _resolver(bound: Mapping[str, Any], free_roots: Mapping[str, Any]) -> Callable[[Path], Any]:
    bindings = bound["bindings"]
    return lambda path: lookup(path, free_roots) if path.root in free_roots else bindings.get(path.text)
