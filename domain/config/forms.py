"""`json_form`: does a value fit the form's schema, and if not, where and why. Nothing is ever fetched."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from domain.config.scalars import is_date
from domain.config.structured import escaped, json_misfit
from domain.errors import Problem
from domain.instants import read_instant
from domain.jsontext import dumps
from domain.patterns import Pattern
from domain.text import truncate

LARGEST_FORM = 64 * 1024  # characters as JSON, of the data
LONGEST_MATCHED = 1000  # characters of a text that has a pattern
MOST_PROBLEMS = 20  # of one form

_FORMATS = FormatChecker(["email", "ipv4", "ipv6", "uuid"])
_FORMATS.checks("date")(lambda value: not isinstance(value, str) or is_date(value))
_FORMATS.checks("date-time")(lambda value: not isinstance(value, str) or read_instant(value) is not None)


def _pattern(_: Validator, pattern: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and (len(value) > LONGEST_MATCHED or not compiled(pattern).matches(value)):
        yield ValidationError(f"this must match {pattern}")


def _unique(_: Validator, wanted: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    """In linear time, unlike the library's."""
    if wanted and isinstance(value, list) and len({_identity(item) for item in value}) < len(value):
        yield ValidationError("no item may be there twice")


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Pattern:
    return Pattern(pattern)


def _identity(value: Any) -> str:
    """The same for what JSON Schema calls equal: 1 is 1.0, and neither is true."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{dumps(key)}:{_identity(item)}" for key, item in value.items())) + "}"
    return "[" + ",".join(map(_identity, value)) + "]" if isinstance(value, list) else dumps(value)


_KEYWORDS = {"pattern": _pattern, "uniqueItems": _unique}
DRAFTS: dict[str, Any] = {
    "https://json-schema.org/draft/2020-12/schema": extend(Draft202012Validator, _KEYWORDS),  # type: ignore[no-untyped-call]
    "http://json-schema.org/draft-07/schema": extend(Draft7Validator, _KEYWORDS),  # type: ignore[no-untyped-call]
}
_DEFAULT_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def draft_of(schema: Mapping[str, Any]) -> Any:
    """The validator of the draft that a schema names, 2020-12 if none; None for one that we do not check by."""
    return DRAFTS.get(str(schema.get("$schema", _DEFAULT_DRAFT)).removesuffix("#"))


def form_problems(schema: Mapping[str, Any], value: Any, pointer: str) -> Iterator[Problem]:
    """`schema` is one that has no problems."""
    misfit = json_misfit(value, LARGEST_FORM)
    if misfit:
        yield Problem(pointer, *misfit)
        return
    validator = draft_of(schema)(schema, registry=Registry(), format_checker=_FORMATS)
    found = (problem for error in validator.iter_errors(value) for problem in _told(error, pointer))
    yield from islice(dict.fromkeys(islice(found, 10 * MOST_PROBLEMS)), MOST_PROBLEMS)


_KINDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_SAID: dict[str, Callable[[Any], tuple[str, str]]] = {
    "enum": lambda wanted: ("not_an_option", f"this must be one of {truncate(', '.join(map(_text, wanted)), 200)}"),
    "const": lambda wanted: ("not_an_option", f"this must be {truncate(_text(wanted), 100)}"),
    "minimum": lambda wanted: ("invalid_value", f"this must be at least {wanted}"),
    "maximum": lambda wanted: ("invalid_value", f"this must be at most {wanted}"),
    "exclusiveMinimum": lambda wanted: ("invalid_value", f"this must be more than {wanted}"),
    "exclusiveMaximum": lambda wanted: ("invalid_value", f"this must be less than {wanted}"),
    "multipleOf": lambda wanted: ("invalid_value", f"this must be a multiple of {wanted}"),
    "minLength": lambda wanted: ("invalid_value", f"this must have at least {wanted} characters"),
    "maxLength": lambda wanted: ("invalid_value", f"this must have at most {wanted} characters"),
    "minItems": lambda wanted: ("invalid_value", f"this must have at least {wanted} items"),
    "maxItems": lambda wanted: ("invalid_value", f"this must have at most {wanted} items"),
    "uniqueItems": lambda wanted: ("invalid_value", "no item may be there twice"),
    "pattern": lambda wanted: (
        "invalid_value",
        f"this must match {truncate(wanted, 100)}, in at most {LONGEST_MATCHED} characters",
    ),
    "format": lambda wanted: ("invalid_value", f"this must be in the form {wanted}"),
    "anyOf": lambda wanted: ("invalid_value", "this fits none of the alternatives that the form has here"),
    "oneOf": lambda wanted: ("invalid_value", "this must fit exactly one of the alternatives that the form has here"),
}


def _told(error: ValidationError, pointer: str) -> Iterator[Problem]:
    """In our words, which never quote the value."""
    at = "".join([pointer, *(f"/{escaped(str(part))}" for part in error.absolute_path)])
    keyword = str(error.validator)
    wanted: Any = error.validator_value
    found: Any = error.instance
    if keyword == "type":
        kinds = wanted if isinstance(wanted, list) else [wanted]
        yield Problem(at, "wrong_type", f"this must be {' or '.join(_KINDS[kind] for kind in kinds)}")
    elif keyword == "required":
        absent = (key for key in wanted if key not in found)
        yield from (Problem(f"{at}/{escaped(key)}", "missing", f"{truncate(key, 100)} is missing") for key in absent)
    elif keyword == "additionalProperties":
        known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        for key in found.keys() - known.keys():
            yield Problem(f"{at}/{escaped(key)}", "unknown_key", f"known here: {truncate(', '.join(known), 200)}")
    elif keyword in _SAID:
        yield Problem(at, *_SAID[keyword](wanted))
    else:
        yield Problem(at, "invalid_value", f"this does not fit what the form says with {keyword}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)
