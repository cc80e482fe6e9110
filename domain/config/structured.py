"""Values that have a shape of their own: an object selection, a field map, any JSON; bounded all of them."""

from collections.abc import Iterator
from typing import Any

from domain.config.scalars import Misfit
from domain.definitions.model import ConfigField
from domain.errors import Problem
from domain.jsontext import dumps, strict_loads
from domain.text import clean_text, nearest, truncate

LARGEST = 256 * 1024  # characters as JSON
MOST_ITEMS = 1000
LONGEST_NAME = 200

_SELECTION = ("object", "fields")


def json_misfit(value: Any, largest: int = LARGEST) -> Misfit | None:
    """Whatever it is: can it be kept, and is it small enough?"""
    try:
        text = dumps(value)
        strict_loads(text)
    except (ValueError, TypeError, RecursionError):
        return "invalid_value", "this cannot be kept as JSON: not finite, too deep, or text that is no Unicode"
    return None if len(text) <= largest else ("invalid_value", f"this is larger than {largest // 1024} KiB as JSON")


def selection_problems(field: ConfigField, value: Any, pointer: str) -> Iterator[Problem]:
    """`[{object, fields?}, …]`, each object once."""
    if not isinstance(value, list):
        yield Problem(pointer, "wrong_type", 'this must be a list such as [{"object": "orders", "fields": ["id"]}]')
        return
    if len(value) > MOST_ITEMS:
        yield Problem(pointer, "invalid_value", f"at most {MOST_ITEMS} objects")
        return
    seen: set[str] = set()
    for index, each in enumerate(value):
        at = f"{pointer}/{index}"
        if not isinstance(each, dict):
            yield Problem(at, "wrong_type", "this must be an object of object and, if wanted, fields")
            continue
        for key in each.keys() - set(_SELECTION):
            yield Problem(f"{at}/{escaped(str(key))}", "unknown_key", f"known here: {', '.join(_SELECTION)}")
        yield from _name_problems(field, each.get("object"), f"{at}/object")
        yield from _fields_problems(each.get("fields", []), f"{at}/fields")
        name = each.get("object")
        if isinstance(name, str) and name in seen:
            yield Problem(f"{at}/object", "invalid_value", "this object is here twice")
        seen |= {name} if isinstance(name, str) else set()


def map_problems(field: ConfigField, value: Any, pointer: str) -> Iterator[Problem]:
    """`{our field: their field, …}`."""
    if not isinstance(value, dict):
        yield Problem(pointer, "wrong_type", 'this must be an object such as {"sku": "ProductCode"}')
        return
    if len(value) > MOST_ITEMS:
        yield Problem(pointer, "invalid_value", f"at most {MOST_ITEMS} fields")
        return
    known = [str(option) for option in field.options or []]
    for key, name in value.items():
        at = f"{pointer}/{escaped(str(key))}"
        if known and key not in known:
            hint = nearest(str(key), known)
            detail = f"did you mean {hint}?" if hint else f"there are {truncate(', '.join(known), 200)}"
            yield Problem(at, "unknown_key", f"there is no such field to map; {detail}")
        elif wrong := _name_misfit(name):
            yield Problem(at, *wrong)


def escaped(key: str) -> str:
    """As part of a JSON pointer."""
    return clean_text(key[:200]).replace("~", "~0").replace("/", "~1")


def _name_problems(field: ConfigField, name: Any, pointer: str) -> Iterator[Problem]:
    known = [str(option) for option in field.options or []]
    if name is None:
        yield Problem(pointer, "missing", "object is missing: which one is selected")
    elif wrong := _name_misfit(name):
        yield Problem(pointer, *wrong)
    elif known and field.options_from is None and name not in known:
        yield Problem(pointer, "not_an_option", f"this must be one of {truncate(', '.join(known), 200)}")


def _fields_problems(names: Any, pointer: str) -> Iterator[Problem]:
    if not isinstance(names, list) or len(names) > MOST_ITEMS:
        yield Problem(pointer, "wrong_type", f"this must be a list of at most {MOST_ITEMS} names")
        return
    for index, name in enumerate(names):
        if wrong := _name_misfit(name):
            yield Problem(f"{pointer}/{index}", *wrong)


def _name_misfit(name: Any) -> Misfit | None:
    if not isinstance(name, str):
        return "wrong_type", "this must be text: a name"
    if not 0 < len(name) <= LONGEST_NAME or clean_text(name) != name:
        return "invalid_value", f"a name has from 1 to {LONGEST_NAME} characters"
    return None
