"""JSON as bytes and text: a strict reader for what strangers send, and the one compact writer."""

import json
import math
import re
from collections import Counter
from typing import Any

from domain.text import truncate

MAX_DEPTH = 64

_MOST_DIGITS = 4300
# Possessive and with an optional end, so that no text, however broken, makes it look twice at a character.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


class JsonRefused(ValueError):
    """`position` is the offset in characters (bytes for bad UTF-8), when known."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


def strict_loads(data: bytes | str) -> Any:
    """Reads what any two JSON readers agree on; raises JsonRefused for everything else. Linear, whatever the input."""
    text = _decode(data) if isinstance(data, bytes) else data
    if text.startswith("\ufeff"):
        raise JsonRefused("a byte order mark is not allowed", 0)
    _ensure_shallow(text)
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise JsonRefused(f"{error.msg} at line {error.lineno} column {error.colno}", error.pos) from None
    if isinstance(data, str) or "\\u" in text:  # otherwise no string can hold either
        _ensure_storable(value)
    return value


def webhook_json(data: bytes) -> tuple[bool, Any]:
    """Whether it is strict JSON, and its value."""
    try:
        return True, strict_loads(data)
    except JsonRefused:
        return False, None


def dumps(value: Any) -> str:
    """Compact JSON; raises ValueError for NaN and infinity."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonRefused(f"not UTF-8 at byte {error.start}", error.start) from None


def _ensure_shallow(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        token = found.group()
        if token in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise JsonRefused(f"nested deeper than {MAX_DEPTH}", found.start())
        elif token in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        times = Counter(key for key, _ in pairs)
        raise JsonRefused(f"duplicate key {json.dumps(truncate(times.most_common(1)[0][0], 60))}")
    return result


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > _MOST_DIGITS:
        raise JsonRefused(f"a number has more than {_MOST_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise JsonRefused(f"the number {truncate(text, 30)} is too large")
    return number


def _constant(name: str) -> float:
    raise JsonRefused(f"{name} is not JSON")


def _ensure_storable(value: Any) -> None:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, str):
            _ensure_storable_text(item)


def _ensure_storable_text(text: str) -> None:
    if "\x00" in text:
        raise JsonRefused("a string holds a NUL character")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise JsonRefused("a string holds half a surrogate pair") from None
