"""Input types that several components share: strict numbers, durations, bounded lists, and a path into an item."""

from typing import Annotated, Any

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from domain.conditions import kind_of
from domain.durations import parse_duration
from domain.jsontext import dumps
from domain.values import Path, PathSyntax, lookup, parse_path

MOST_ITEMS = 100_000
MOST_BITS = 1024  # of a whole number: what a double can approach, and cheap to write out


def number(value: Any) -> int | float:
    """Numbers only: text that looks like one, and true, are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("not_a_number", "must be a number, not {kind}", {"kind": kind_of(value)})
    if not in_range(value):
        raise PydanticCustomError("number_out_of_range", "must be a number of less than 309 digits")
    return value


def in_range(value: int | float) -> bool:
    return value.bit_length() < MOST_BITS if isinstance(value, int) else abs(value) < float("inf")


def _seconds(value: Any) -> float:
    """A duration such as 30s, or a number of seconds."""
    try:
        seconds = parse_duration(value).total_seconds() if isinstance(value, str) else float(number(value))
    except ValueError as error:
        raise PydanticCustomError("not_a_duration", "{why}", {"why": str(error)}) from None
    if seconds <= 0:
        raise PydanticCustomError("not_a_duration", "must be longer than nothing")
    return seconds


def _item_path(value: Any) -> Path:
    if not isinstance(value, str):
        raise PydanticCustomError("not_a_path", "must be a path such as a.b, not {kind}", {"kind": kind_of(value)})
    try:
        return parse_path(f"item{value}" if value.startswith("[") else f"item.{value}")
    except PathSyntax as error:
        raise PydanticCustomError("not_a_path", "must be a path such as a.b: {why}", {"why": error.message}) from None


Number = Annotated[int | float, PlainValidator(number, json_schema_input_type=int | float)]
Seconds = Annotated[float, PlainValidator(_seconds, json_schema_input_type=str | int | float)]
ItemPath = Annotated[Path, PlainValidator(_item_path, json_schema_input_type=str)]
Items = Annotated[list[Any], Field(max_length=MOST_ITEMS)]


def at(path: Path | None, item: Any) -> Any:
    """What the path points at in an item; the item itself without one."""
    return item if path is None else lookup(path, {"item": item})


def as_text(value: Any) -> str:
    """As a template puts a value into text: objects as JSON, absent as nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value)
