"""Is the schema of a `json_form` one that we check by? Nothing is ever fetched.

It is small, refers to itself by `#/…` without going in circles, and its patterns are matched in linear time
(`domain/patterns.py`), so that no form and no value keeps anybody busy.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from domain.config.forms import DRAFTS, compiled, draft_of
from domain.config.structured import json_misfit
from domain.patterns import PatternRefused
from domain.text import truncate
from domain.values import Location

LARGEST_SCHEMA = 64 * 1024  # characters as JSON
MOST_NODES = 5000  # of a schema with its references written out
MOST_PROBLEMS = 20

_REFUSED = frozenset({"$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor", "patternProperties"})


def schema_problems(schema: dict[str, Any]) -> Iterator[tuple[Location, str]]:
    """What is wrong with a form's schema, and where."""
    if json_misfit(schema, LARGEST_SCHEMA):
        yield (), "a schema is at most 64 KiB of JSON"
        return
    draft = draft_of(schema)
    if draft is None:
        yield ("$schema",), f"the schema's draft must be one of {', '.join(DRAFTS)}"
        return
    wrong = list(islice(draft(draft.META_SCHEMA).iter_errors(schema), MOST_PROBLEMS))
    if wrong:
        yield from ((tuple(each.absolute_path), f"no JSON Schema: {truncate(each.message, 200)}") for each in wrong)
        return
    yield from _keyword_problems(schema)
    yield from _size_problems(schema)


def _keyword_problems(schema: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    for location, node in _nodes(schema):
        for keyword in sorted(_REFUSED & node.keys()):
            yield (*location, keyword), f"{keyword} is not checked here: write the schema without it"
        if location and "$id" in node and isinstance(node["$id"], str):
            yield (*location, "$id"), "$id stands at the top of a schema only"
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#/"):
            yield (*location, "$ref"), "a reference stays in this schema: #/$defs/…; nothing is fetched"
        elif isinstance(reference, str) and _target(schema, reference) is None:
            yield (*location, "$ref"), "there is nothing at the end of this reference"
        if isinstance(node.get("pattern"), str) and (wrong := _wrong_pattern(node["pattern"])):
            yield (*location, "pattern"), wrong


def _nodes(schema: Any) -> Iterator[tuple[Location, dict[str, Any]]]:
    """Every object within, whatever it means there: too many are looked at rather than too few."""
    pending: list[tuple[Location, Any]] = [((), schema)]
    while pending:
        location, node = pending.pop()
        children: Iterable[tuple[Any, Any]] = ()
        if isinstance(node, dict):
            yield location, node
            children = node.items()
        elif isinstance(node, list):
            children = enumerate(node)
        pending.extend(((*location, key), child) for key, child in children)


def _wrong_pattern(pattern: str) -> str | None:
    try:
        compiled(pattern)
    except PatternRefused as error:
        return str(error)
    return None


def _target(schema: Any, reference: str) -> Any:
    """Where `#/a/b` leads; None where there is nothing."""
    for part in reference.removeprefix("#/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict):
            schema = schema.get(key)
        elif isinstance(schema, list) and key.isascii() and key.isdigit() and len(key) < 6:
            schema = schema[int(key)] if int(key) < len(schema) else None
        else:
            return None
    return schema


def _size_problems(schema: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    try:
        size = _size(schema, schema, ())
    except _Circle as circle:
        yield (), f"the reference {truncate(str(circle), 100)} leads to itself: a form is finite"
        return
    if size > MOST_NODES:
        yield (), f"the schema is too large: more than {MOST_NODES} parts with its references written out"


class _Circle(Exception):
    """A reference that leads to itself."""


def _size(node: Any, schema: Any, via: tuple[str, ...]) -> int:
    """How many parts there are to look at; stops counting when there are too many."""
    size = 1
    reference = node.get("$ref") if isinstance(node, dict) else None
    if isinstance(reference, str):
        if reference in via or len(via) > 50:
            raise _Circle(reference)
        size += _size(_target(schema, reference), schema, (*via, reference))
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        if size > MOST_NODES:
            break
        size += _size(child, schema, via)
    return size
