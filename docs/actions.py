"""The table of all actions in `docs/definition.md`, from the registry. `python -m docs.actions` writes it anew."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import components
from components.base import Action, Component
from components.catalogue import discovered

FILE = Path(__file__).parent / "definition.md"
BEGIN, END = "<!-- actions: begin -->", "<!-- actions: end -->"

_LAZY = {"when": "condition", "to": "template"}  # evaluated once per item
_WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true/false",
    dict: "object",
    list: "list",
    NoneType: "nothing",
}
_SCHEMA_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true/false",
    "array": "list",
    "object": "object",
    "null": "nothing",
}


def table() -> str:
    rows = ["| action | what it does | inputs | output |", "|---|---|---|---|"]
    rows += [_row(component, action) for component, _ in discovered(components) for action in component.actions]
    return "\n".join(rows)


def with_table(text: str) -> str:
    """The document with what stands between the two marks replaced."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _row(component: Component, action: Action) -> str:
    inputs = [_input(name, info) for name, info in _fields(action).items()]
    inputs += [f"**`{name}`** {_LAZY.get(name, 'template')} of each item" for name in sorted(action.lazy)]
    cells = (f"`{component.key}.{action.name}`", action.summary, ", ".join(inputs) or "none", _output(action))
    return f"| {' | '.join(cells)} |"


def _fields(action: Action) -> dict[str, dict[str, Any]]:
    schema = action.inputs.model_json_schema(by_alias=True)
    required = set(schema.get("required", ()))
    return {name: info | {"required": name in required} for name, info in schema.get("properties", {}).items()}


def _input(name: str, info: dict[str, Any]) -> str:
    """Bold when it must be given, else with its default."""
    if info["required"]:
        return f"**`{name}`** {_type(info)}"
    default = info.get("default")
    shown = "" if default is None else f" = `{_text(default)}`"
    return f"`{name}` {_type(info)}{shown}"


def _type(info: dict[str, Any]) -> str:
    if "enum" in info:
        return "/".join(map(str, info["enum"]))
    if "anyOf" in info:
        return _either(_type(each) for each in info["anyOf"] if each.get("type") != "null")
    return _SCHEMA_WORDS.get(info.get("type", ""), "any value")


def _either(words: Iterable[str]) -> str:
    """A whole number is a number."""
    known = dict.fromkeys(words)
    return " or ".join(word for word in known if word != "whole number" or "number" not in known)


def _text(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list | tuple):
        return f"[{', '.join(map(str, default))}]"
    return f'"{default}"' if default == "" else str(default)


def _output(action: Action) -> str:
    function = action.run.func if isinstance(action.run, partial) else action.run
    return _annotation(get_type_hints(function)["return"])


def _annotation(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return _either(map(_annotation, get_args(kind)))
    return _WORDS.get(get_origin(kind) or kind, "any value")


if __name__ == "__main__":
    FILE.write_text(with_table(FILE.read_text(encoding="utf-8")), encoding="utf-8")
