"""Values that stand alone: texts, numbers, dates, options, code. Details never quote a value: it may be a secret."""

import math
import re
from datetime import date
from typing import Any

from domain.definitions.model import ConfigField
from domain.instants import read_instant
from domain.jsontext import JsonRefused, strict_loads
from domain.markup import check_html, check_xml
from domain.text import clean_text, truncate

LONGEST_TEXT = 64 * 1024
LONGEST_OPTION = 200  # characters of one that was listed live
LARGEST_INT = 2**53 - 1

Misfit = tuple[str, str]  # code and detail

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def scalar_misfit(field: ConfigField, value: Any) -> Misfit | None:
    match field.type:
        case "string":
            return text_misfit(value)
        case "number":
            return number_misfit(value)
        case "boolean":
            return None if isinstance(value, bool) else ("wrong_type", "this must be true or false")
        case "date":
            return _date_misfit(value)
        case "timestamp":
            return _timestamp_misfit(value)
        case "picklist":
            return _option_misfit(field, value)
        case "code":
            return _code_misfit(field.language, value)
        case _:
            return "invalid_value", f"a field of type {field.type} takes no such value"


def text_misfit(value: Any) -> Misfit | None:
    if not isinstance(value, str):
        return "wrong_type", "this must be text"
    if len(value.encode("utf-8", "surrogatepass")) > LONGEST_TEXT:
        return "invalid_value", "text is at most 64 KiB"
    if clean_text(value) != value:
        return "invalid_value", "text holds neither NUL nor half of a surrogate pair"
    return None


def number_misfit(value: Any) -> Misfit | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "wrong_type", "this must be a number"
    if isinstance(value, int) and abs(value) > LARGEST_INT:
        return "invalid_value", "a whole number beyond 2^53 is not exact"
    return None if math.isfinite(value) else ("invalid_value", "a number must be finite")


def is_option(option: Any, value: Any) -> bool:
    """`true` is not `1`."""
    return isinstance(option, bool) == isinstance(value, bool) and bool(option == value)


def is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


def _date_misfit(value: Any) -> Misfit | None:
    if not isinstance(value, str):
        return "wrong_type", "this must be a date as text, such as 2026-03-01"
    return None if is_date(value) else ("invalid_value", "this must be a date that exists, such as 2026-03-01")


def _timestamp_misfit(value: Any) -> Misfit | None:
    if not isinstance(value, str):
        return "wrong_type", "this must be a time as text, such as 2026-03-01T12:00:00Z"
    if read_instant(value) is None:
        return "invalid_value", "this must be a time that exists with its offset, such as 2026-03-01T12:00:00+01:00"
    return None


def _option_misfit(field: ConfigField, value: Any) -> Misfit | None:
    """Options that are listed live change: of those any text or number will do."""
    if field.options_from is not None:
        return _live_option_misfit(value)
    options = field.options or []
    if any(is_option(option, value) for option in options):
        return None
    if isinstance(value, dict | list):
        return "wrong_type", "this must be one of the options"
    return "not_an_option", f"this must be one of {truncate(', '.join(map(str, options)), 200)}"


def _live_option_misfit(value: Any) -> Misfit | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return "wrong_type", "this must be the text or the number of an option"
    if not isinstance(value, str):
        return number_misfit(value)
    if not 0 < len(value) <= LONGEST_OPTION:
        return "invalid_value", f"an option has from 1 to {LONGEST_OPTION} characters"
    return text_misfit(value)


def _code_misfit(language: str | None, value: Any) -> Misfit | None:
    found = text_misfit(value)
    if found is not None:
        return found
    wrong = _CHECKS[language or "html"](value)
    return ("invalid_value", f"this is not well-formed {(language or '').upper()}: {wrong}") if wrong else None


def _check_json(text: str) -> str | None:
    try:
        strict_loads(text)
    except JsonRefused as error:
        return error.message
    return None


_CHECKS = {"json": _check_json, "xml": check_xml, "html": check_html}
