"""What people hand to a command: files, standard input, `key=value`."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from domain.durations import parse_duration

STDIN = "-"


class _Loader(yaml.SafeLoader):
    """Without dates: in JSON they are text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_text(path: str) -> str:
    """Of a file, or of standard input for `-`."""
    try:
        return sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read as text: {error}") from error


def yaml_value(text: str) -> Any:
    """JSON or YAML; raises YAMLError."""
    return yaml.load(text, _Loader)


def read_object(path: str) -> dict[str, Any]:
    """JSON or YAML, keys and values."""
    try:
        value = yaml_value(read_text(path))
    except yaml.YAMLError as error:
        raise typer.BadParameter(f"{path} is neither JSON nor YAML: {error}") from error
    if not isinstance(value, dict):
        raise typer.BadParameter(f"{path} does not hold keys and values")
    return value


def pairs(given: Sequence[str], separator: str = ":") -> dict[str, str]:
    """`name:value`, as headers are written."""
    found = {}
    for text in given:
        name, found_separator, value = text.partition(separator)
        if not found_separator or not name.strip():
            raise typer.BadParameter(f"{text!r} is not name{separator}value")
        found[name.strip()] = value.strip()
    return found


Overlap = Annotated[
    str | None, typer.Option("--overlap", help="How long the URL until now goes on, such as 30m or 24h; default: not")
]


def rotation(overlap: str | None) -> dict[str, Any]:
    """What changes a URL, with the overlap that was said."""
    return {"overlap_seconds": seconds(overlap)} if overlap is not None else {}


def seconds(text: str) -> float:
    """Of a duration as definitions write it."""
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}") from error


def as_it_is(path: str, text: str) -> Any:
    return text


def values(given: Sequence[str], read: Callable[[str, str], Any] = as_it_is) -> dict[str, Any]:
    """`key=text`, `key:=json`, `key=@file`, `key:=@file`, `key=@-`; `shop.token=…` is a field within `shop`.

    `read` makes a value of a text that stands behind `=`.
    """
    found: dict[str, Any] = {}
    for each in given:
        place(found, *_assignment(each, read))
    return found


def place(found: dict[str, Any], path: str, value: Any) -> None:
    """At `shop.token`, once."""
    *parents, last = path.split(".")
    inside = _descent(found, parents, path)
    if last in inside:
        raise typer.BadParameter(f"{path} is given twice")
    inside[last] = value


def _assignment(text: str, read: Callable[[str, str], Any]) -> tuple[str, Any]:
    key, separator, right = text.partition("=")
    if not separator or not key.strip(":"):
        raise typer.BadParameter(f"{text!r} is neither key=text nor key:=json")
    # A file's last line end is the editor's, not the secret's.
    value = read_text(right[1:]).removesuffix("\n") if right.startswith("@") else right
    return (key[:-1], _json(value, key[:-1])) if key.endswith(":") else (key, read(key, value))


def _json(text: str, key: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"{key} is not JSON: {error}") from error


def _descent(root: dict[str, Any], parents: Sequence[str], path: str) -> dict[str, Any]:
    """The innermost object, made on the way."""
    place = root
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise typer.BadParameter(f"{path} lies within {parent}, which has a value of its own")
    return place
