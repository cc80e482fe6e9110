"""The shape of a definition: plain values into the model, and pydantic's errors into problems with their place."""

from collections.abc import Iterable
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.definitions import model
from domain.definitions.places import Report
from domain.text import nearest, truncate
from domain.values import Location

# The mapping's own key, or that of the list it stands in, says which node it is; a trigger's says its type.
_NODES: dict[str, type[model.Node]] = {
    "endpoint": model.Endpoint,
    "config": model.ConfigPage,
    "fields": model.ConfigField,
    "options_from": model.OptionsFrom,
    "check": model.ConnectionCheck,
    "flows": model.Flow,
    "security": model.Security,
    "hmac": model.Hmac,
    "dedupe": model.Dedupe,
    "retry": model.Retry,
    "concurrency": model.Concurrency,
    "steps": model.Step,
    "on_error": model.OnError,
    "branch": model.Case,
    "loop": model.Loop,
    "stop": model.Stop,
    "wait": model.Wait,
    "call": model.Call,
}
_TRIGGERS: dict[str, type[model.Node]] = {
    get_args(trigger.model_fields["type"].annotation)[0]: trigger for trigger in get_args(get_args(model.Trigger)[0])
}
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def read_structure(value: Any, report: Report) -> model.Definition | None:
    """Unknown keys are reported and, where nothing else is wrong, taken out of `value` so that the rest can be read."""
    if not isinstance(value, dict):
        report.add((), "wrong_type", f"a definition is a mapping, not {kind_of(value)}")
        return None
    try:
        return _validated(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
    _report_all(errors, value, report)
    unknown = [_location(each["loc"], value) for each in errors if each["type"] == "extra_forbidden"]
    if len(unknown) < len(errors) or any(_holds_fields(location[:-1]) for location in unknown):
        return None
    for location in unknown:
        del _value_at(value, location[:-1])[location[-1]]
    report.overlook(location[:-1] for location in unknown)
    return _validated(value)


def _holds_fields(location: Location) -> bool:
    """A mistake here hides configuration fields, and each reference to them would be a problem of its own."""
    return location == () or (location[0] == "config" and len(location) == 2)


def _validated(value: dict[str, Any]) -> model.Definition:
    return model.Definition.model_validate(value, strict=True, by_alias=True, by_name=False)


def _report_all(errors: Iterable[ErrorDetails], value: Any, report: Report) -> None:
    wanted: dict[Location, list[str]] = {}
    for error in errors:
        location = _location(error["loc"], value)
        if error["type"] in _EXPECTED:
            wanted.setdefault(location, []).append(_EXPECTED[error["type"]])
        else:
            _report_one(error, location, value, report)
    for location, kinds in wanted.items():
        found = kind_of(_value_at(value, location))
        report.add(location, "wrong_type", f"this must be {' or '.join(dict.fromkeys(kinds))}, not {found}")


def _report_one(error: ErrorDetails, location: Location, value: Any, report: Report) -> None:
    kind, context = error["type"], error.get("ctx", {})
    on_key = error["loc"][-1] == "[key]"
    if kind == "extra_forbidden":
        report.add(location, "unknown_key", _unknown_key(location, value), key=True)
    elif kind == "missing":
        report.add(location[:-1], "missing", f"{location[-1]} is missing")
    elif kind == "union_tag_not_found":
        report.add(location, "missing", "type is missing")
    elif kind == "union_tag_invalid":
        detail = _one_of(str(context["tag"]), context["expected_tags"])
        report.add((*location, "type"), "invalid_value", detail)
    elif kind == "literal_error":
        report.add(location, "invalid_value", _one_of(_value_at(value, location), context["expected"]))
    elif kind == "string_pattern_mismatch" and context["pattern"] == model.DURATION:
        report.add(location, "bad_duration", "a duration is a whole number with ms, s, m or h, such as 30s")
    elif kind == "string_pattern_mismatch":
        allowed = "lower-case letters, digits and -" if location == ("key",) else "letters, digits, _ and -"
        first = "letter or digit" if location == ("key",) else "letter"
        report.add(location, "invalid_value", f"a key is made of {allowed}, and begins with a {first}", key=on_key)
    else:
        report.add(location, "invalid_value", error["msg"].replace("String", "this").replace("Input", "this"))


def _one_of(found: Any, expected: str) -> str:
    known = [each.strip("'") for each in expected.replace(" or ", ", ").split(", ")]
    hint = nearest(found, known) if isinstance(found, str) else None
    return f"this must be one of {', '.join(known)}" + (f"; did you mean {hint}?" if hint else "")


def _unknown_key(location: Location, value: Any) -> str:
    node = _node_at(location[:-1], value)
    known = [field.alias or name for name, field in node.model_fields.items()]
    hint = nearest(str(location[-1]), known)
    detail = f"unknown key {truncate(str(location[-1]), 60)}"
    return f"{detail}; did you mean {hint}?" if hint else f"{detail}; known here: {', '.join(known)}"


def _node_at(location: Location, value: Any) -> type[model.Node]:
    name = next((part for part in reversed(location) if isinstance(part, str)), "")
    if name == "trigger":
        return _TRIGGERS[_value_at(value, location)["type"]]
    return _NODES.get(name, model.Definition)


def _location(loc: tuple[str | int, ...], value: Any) -> Location:
    """Without what pydantic puts between: the trigger's type, a union's member, `[key]`."""
    if loc[:1] == ("flows",) and loc[2:3] == ("trigger",):
        loc = (*loc[:3], *loc[4:])
    if loc[4:6] == ("hmac", "secret"):
        loc = (*loc[:6], *loc[7:])
    if loc[-1] == "[key]":
        return loc[:-1]
    if len(loc) > 1 and loc[-1] in ("str", "int", "float", "bool") and loc[-2] in ("times", "status"):
        return loc[:-1]
    return loc[:6] if loc[:1] == ("config",) and loc[4:5] == ("options",) else loc


def _value_at(value: Any, location: Location) -> Any:
    for part in location:
        value = value[part]
    return value


def kind_of(value: Any) -> str:
    """What a person calls a value of this type."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    kinds = {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}
    return kinds.get(type(value), type(value).__name__)
