"""Configuration of an instance: does a value fit its field, what is missing, and what the flows see of it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.connections import KINDS, check_connection, complete, public_fields
from domain.definitions.model import ConfigField, ConfigPage
from domain.errors import Problem
from domain.schedules import check_schedule
from domain.text import clean_text, nearest, truncate

LONGEST_TEXT = 64 * 1024
LARGEST_INT = 2**53 - 1
MOST_PROBLEMS = 100

Values = Mapping[str, Any]
Fields = Mapping[str, ConfigField]


@dataclass(frozen=True)
class ResolvedConfig:
    """`public` is what `config.<key>` yields, without the secret fields; the rest never enters Temporal."""

    public: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)  # key → kind, values, hosts


def check_value(config_field: ConfigField, value: Any) -> str | None:
    """What is wrong with a value, if anything. None means back to default and always fits."""
    return next((problem.detail for problem in value_problems(config_field, value, "#")), None)


def check_values(fields: Fields, values: Values, pointer: str = "#/values") -> list[Problem]:
    problems: list[Problem] = []
    for key, value in values.items():
        if len(problems) >= MOST_PROBLEMS:
            break
        at = f"{pointer}/{_escaped(key)}"
        if key in fields:
            problems += value_problems(fields[key], value, at)
        else:
            hint = nearest(key, fields)
            detail = f"there is no config key {truncate(clean_text(key), 60)}"
            problems.append(Problem(at, "unknown_key", f"{detail}; did you mean {hint}?" if hint else detail))
    return problems


def value_problems(config_field: ConfigField, value: Any, pointer: str) -> list[Problem]:
    """Details never quote a value: it may be a secret."""
    if value is None:
        return []
    if config_field.type == "connection":
        return check_connection(config_field.connection or "", value, pointer)
    found = _misfit(config_field, value)
    return [Problem(pointer, *found)] if found else []


def _misfit(config_field: ConfigField, value: Any) -> tuple[str, str] | None:
    """Code and detail."""
    match config_field.type:
        case "string":
            return _text_misfit(value)
        case "number":
            return _number_misfit(value)
        case "boolean":
            return None if isinstance(value, bool) else ("wrong_type", "this must be true or false")
        case "picklist":
            return _option_misfit(config_field.options or [], value)
        case "schedule":
            detail = check_schedule(value)
            return ("invalid_value" if isinstance(value, dict) else "wrong_type", detail) if detail else None
        case _:
            return "not_supported_yet", f"values of type {config_field.type} are not built yet"


def _text_misfit(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "wrong_type", "this must be text"
    if len(value.encode("utf-8", "surrogatepass")) > LONGEST_TEXT:
        return "invalid_value", "text is at most 64 KiB"
    if clean_text(value) != value:
        return "invalid_value", "text holds neither NUL nor half of a surrogate pair"
    return None


def _number_misfit(value: Any) -> tuple[str, str] | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "wrong_type", "this must be a number"
    if isinstance(value, int) and abs(value) > LARGEST_INT:
        return "invalid_value", "a whole number beyond 2^53 is not exact"
    return None if math.isfinite(value) else ("invalid_value", "a number must be finite")


def _option_misfit(options: list[Any], value: Any) -> tuple[str, str] | None:
    if any(is_option(option, value) for option in options):
        return None
    if isinstance(value, dict | list):
        return "wrong_type", "this must be one of the options"
    return "not_an_option", f"this must be one of {truncate(', '.join(map(str, options)), 200)}"


def is_option(option: Any, value: Any) -> bool:
    """`true` is not `1`."""
    return isinstance(option, bool) == isinstance(value, bool) and bool(option == value)


def missing(fields: Fields, set_values: Values) -> list[Problem]:
    return [
        Problem(f"#/config/{key}", "missing", f"{each.label or key} is required")
        for key, each in fields.items()
        if each.is_required and effective(each, set_values) is None
    ]


def misfits(fields: Fields, set_values: Values) -> list[Problem]:
    """Values that fitted another version. Those of keys that this version lacks are kept, and are no problem."""
    known = {key: value for key, value in set_values.items() if key in fields}
    return check_values(fields, known, "#/config")


def config_state(fields: Fields, set_values: Values) -> bool:
    """Whether the instance is configured."""
    return not missing(fields, set_values) and not misfits(fields, set_values)


def effective(config_field: ConfigField, set_values: Values) -> Any:
    value = set_values.get(config_field.key)
    return config_field.default if value is None else value


def resolve(fields: Fields, set_values: Values) -> ResolvedConfig:
    """Of values that fit. An optional field without value and default is None."""
    resolved = ResolvedConfig()
    for key, each in fields.items():
        value = effective(each, set_values)
        if each.secret:
            if value is not None:
                resolved.secrets[key] = value
        elif each.type == "connection" and value is not None:
            kind = each.connection or ""
            resolved.public[key] = public_fields(kind, value)
            resolved.connections[key] = {"kind": kind, "values": complete(kind, value), "hosts": each.hosts}
        else:
            resolved.public[key] = value
    return resolved


def with_changes(set_values: Values, changes: Values) -> dict[str, Any]:
    """Only the keys given change; None goes back to the default."""
    return {key: value for key, value in {**set_values, **changes}.items() if value is not None}


def describe(pages: Iterable[ConfigPage], set_values: Values, problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """The pages of the configuration wizard as clients see them: no secrets. `problems` point at `#/config/<key>`."""
    by_key: dict[str, list[dict[str, str]]] = {}
    for problem in problems:
        key = problem.pointer.removeprefix("#/config/").partition("/")[0]
        by_key.setdefault(key, []).append({"code": problem.code, "detail": problem.detail})
    return [
        {
            "name": page.page,
            "tagline": page.tagline,
            "fields": [_described(each, set_values, by_key.get(each.key, [])) for each in page.fields],
        }
        for page in pages
    ]


def _described(each: ConfigField, set_values: Values, errors: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "key": each.key,
        "type": each.type,
        "label": each.label or each.key,
        "description": each.description,
        "required": each.is_required,
        "default": _shown(each, each.default),
        "value": _shown(each, set_values.get(each.key)),
        "is_set": set_values.get(each.key) is not None,
        "options": each.options,
        "errors": errors,
    }


def _shown(each: ConfigField, value: Any) -> Any:
    """Never a secret; of a connection its other fields, if its kind is known and the value is one of it."""
    if each.secret:
        return None
    if each.type != "connection":
        return value
    kind = each.connection or ""
    fits = kind in KINDS and value is not None and not check_connection(kind, value, "")
    return public_fields(kind, value) if fits else None


def _escaped(key: str) -> str:
    return clean_text(key[:200]).replace("~", "~0").replace("/", "~1")
