"""Does a value fit its field, and what is missing: problems with a pointer and a reason to act on."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.config.forms import form_problems
from domain.config.resolved import Fields, Values, effective, is_exposed
from domain.config.scalars import scalar_misfit
from domain.config.structured import MOST_ITEMS, escaped, json_misfit, map_problems, selection_problems
from domain.connections import check_connection
from domain.definitions.model import ConfigField
from domain.errors import Problem
from domain.schedule_values import check_schedule
from domain.text import clean_text, nearest, truncate

MOST_PROBLEMS = 100
LONGEST_ENTRY = 200  # characters of a map's key


def check_value(field: ConfigField, value: Any) -> str | None:
    """What is wrong with a value, if anything. None means back to default and always fits."""
    return next((problem.detail for problem in value_problems(field, value, "#")), None)


def check_values(fields: Fields, values: Values, pointer: str = "#/values") -> list[Problem]:
    problems: list[Problem] = []
    for key, value in values.items():
        if len(problems) >= MOST_PROBLEMS:
            break
        at = f"{pointer}/{escaped(key)}"
        if key in fields:
            problems += value_problems(fields[key], value, at)
        else:
            hint = nearest(key, fields)
            detail = f"there is no config key {truncate(clean_text(key), 60)}"
            problems.append(Problem(at, "unknown_key", f"{detail}; did you mean {hint}?" if hint else detail))
    return problems[:MOST_PROBLEMS]


def value_problems(field: ConfigField, value: Any, pointer: str) -> list[Problem]:
    """Details never quote a value: it may be a secret."""
    if value is None:
        return []
    if is_exposed(field, value):
        return [
            Problem(pointer, "was_secret", "this was entered as a secret, and the field is none any more: set it anew")
        ]
    match field.type:
        case "connection":
            return check_connection(field.connection or "", value, pointer, field.default)
        case "html":
            return [Problem(pointer, "invalid_value", "this is text on the page and takes no value")]
        case "json_form":
            return list(form_problems(field.form_schema or {}, value, pointer))
        case "object_selection":
            return list(selection_problems(field, value, pointer))
        case "field_map":
            return list(map_problems(field, value, pointer))
        case "schedule":
            detail = check_schedule(value)
            code = "invalid_value" if isinstance(value, dict) else "wrong_type"
            return [Problem(pointer, code, detail)] if detail else []
    if field.collection is not None:
        return list(_collection_problems(field, value, pointer))
    found = scalar_misfit(field, value)
    return [Problem(pointer, *found)] if found else []


def _collection_problems(field: ConfigField, value: Any, pointer: str) -> Iterator[Problem]:
    if field.collection == "list" and not isinstance(value, list):
        yield Problem(pointer, "wrong_type", "this must be a list")
        return
    if field.collection == "map" and not isinstance(value, dict):
        yield Problem(pointer, "wrong_type", "this must be an object of keys and values")
        return
    if len(value) > MOST_ITEMS:
        yield Problem(pointer, "invalid_value", f"at most {MOST_ITEMS} items")
        return
    found = [problem for at, item in _items(value, pointer) for problem in _item_problems(field, at, item)]
    misfit = json_misfit(value) if not found else None
    yield from [Problem(pointer, *misfit)] if misfit else found


def _items(value: list[Any] | dict[str, Any], pointer: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"{pointer}/{escaped(str(key))}", (key, item)) for key, item in value.items())
    else:
        yield from ((f"{pointer}/{index}", (None, item)) for index, item in enumerate(value))


def _item_problems(field: ConfigField, pointer: str, entry: tuple[str | None, Any]) -> Iterator[Problem]:
    key, item = entry
    if key is not None and not 0 < len(key) <= LONGEST_ENTRY:
        yield Problem(pointer, "invalid_value", f"a key has from 1 to {LONGEST_ENTRY} characters")
    elif found := scalar_misfit(field, item):
        yield Problem(pointer, *found)


def missing(fields: Fields, set_values: Values) -> list[Problem]:
    absent = [
        Problem(f"#/config/{key}", "missing", f"{each.label or key} is required")
        for key, each in fields.items()
        if each.is_required and not _is_bare(each) and effective(each, set_values) is None
    ]
    bare = [each for key, each in fields.items() if _is_bare(each) and set_values.get(key) is None]
    return absent + [problem for each in bare for problem in value_problems(each, each.default, f"#/config/{each.key}")]


def _is_bare(each: ConfigField) -> bool:
    """A connection whose default leaves something to the instance."""
    return each.type == "connection" and each.default is not None and each.required is not False


def misfits(fields: Fields, set_values: Values) -> list[Problem]:
    """Values that fitted another version. Those of keys that this version lacks are kept, and are no problem."""
    known = {key: value for key, value in set_values.items() if key in fields}
    return check_values(fields, known, "#/config")


def config_state(fields: Fields, set_values: Values) -> bool:
    """Whether the instance is configured."""
    return not missing(fields, set_values) and not misfits(fields, set_values)
