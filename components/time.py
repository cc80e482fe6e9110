"""The `time` component: instants as RFC 3339 text in UTC. Now is the step's own time, the same on every look."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError

from components.base import Action, ActionContext, Component, Inputs
from components.inputs import Number
from domain.conditions import kind_of
from domain.errors import StepFailed

# What means the same on every machine; the rest of strftime depends on its locale or C library.
_DIRECTIVES = frozenset("aAbBdfHIjmMpSyYzZ%")
_UNREADABLE = frozenset("Z")  # names of time zones are ambiguous


def _iso(value: Any) -> datetime:
    """A date is its midnight. A time without an offset stays naive."""
    if not isinstance(value, str):
        raise PydanticCustomError("not_a_time", "must be RFC 3339 text, not {kind}", {"kind": kind_of(value)})
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        raise PydanticCustomError("not_a_time", "must be a time such as 2026-01-31T08:00:00Z") from None


def _zone(value: Any) -> tzinfo:
    try:
        return ZoneInfo(value)
    except (LookupError, OSError, TypeError, ValueError):
        raise PydanticCustomError("not_a_time_zone", "must be a time zone such as Europe/Berlin") from None


def _format(value: str) -> str:
    if not value.isprintable():
        raise PydanticCustomError("not_a_format", "must be printable text such as %Y-%m-%d")
    unknown = next((each for each in _directives(value) if each not in _DIRECTIVES), None)
    if unknown is not None:
        known = " ".join(f"%{each}" for each in sorted(_DIRECTIVES))
        raise PydanticCustomError("not_a_format", "%{each} is none of {known}", {"each": unknown, "known": known})
    return value


def _directives(text: str) -> list[str]:
    return [part[:1] for part in text.replace("%%", "").split("%")[1:]]


Time = Annotated[datetime, PlainValidator(_iso, json_schema_input_type=str)]
Zone = Annotated[tzinfo, PlainValidator(_zone, json_schema_input_type=str)]
Format = Annotated[str, Field(max_length=200), AfterValidator(_format)]


class NowInputs(Inputs):
    pass


class AddInputs(Inputs):
    to: Time | None = None
    days: Number = 0
    hours: Number = 0
    minutes: Number = 0
    seconds: Number = 0


class FormatInputs(Inputs):
    time: Time
    format: Format
    time_zone: Zone | None = None


class ParseInputs(Inputs):
    text: Annotated[str, Field(max_length=200)]
    format: Format | None = None
    time_zone: Zone | None = None


async def _now(context: ActionContext, _: NowInputs) -> str:
    return _rfc3339(context.now)


async def _add(context: ActionContext, inputs: AddInputs) -> str:
    start = _aware(inputs.to or context.now, UTC)
    try:
        return _rfc3339(
            start + timedelta(days=inputs.days, hours=inputs.hours, minutes=inputs.minutes, seconds=inputs.seconds)
        )
    except OverflowError:
        raise _beyond() from None


async def _formatted(_: ActionContext, inputs: FormatInputs) -> str:
    try:
        return _aware(inputs.time, UTC).astimezone(inputs.time_zone or UTC).strftime(inputs.format)
    except OverflowError:
        raise _beyond() from None


async def _parse(_: ActionContext, inputs: ParseInputs) -> str:
    try:
        read = _iso(inputs.text) if inputs.format is None else _read(inputs.text, inputs.format)
        return _rfc3339(_aware(read, inputs.time_zone or UTC))
    except ValueError:
        wanted = inputs.format or "RFC 3339"
        raise StepFailed(f"text is no time in the form {wanted}", code="invalid_time") from None
    except OverflowError:
        raise _beyond() from None


def _read(text: str, form: str) -> datetime:
    directives = _directives(form)
    if len(set(directives)) < len(directives) or _UNREADABLE.intersection(directives):
        raise ValueError
    return datetime.strptime(text, form)


def _aware(instant: datetime, zone: tzinfo) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=zone)


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _beyond() -> StepFailed:
    return StepFailed("the time is beyond the years 1 to 9999", code="time_out_of_range")


component = Component(
    key="time",
    name="Time",
    actions=(
        Action(name="now", inputs=NowInputs, run=_now, summary="The time at which the step began"),
        Action(name="add", inputs=AddInputs, run=_add, summary="A time that much later, or earlier when negative"),
        Action(name="format", inputs=FormatInputs, run=_formatted, summary="Writes a time in a form and a time zone"),
        Action(name="parse", inputs=ParseInputs, run=_parse, summary="Reads a time written in a form"),
    ),
)
