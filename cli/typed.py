"""Texts from the command line as values of a configuration's fields: `limit=5` is a number where the field is one.

What does not read as a value of its type stays text, so that the API says what is wrong with it.
"""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from cli.client import Json
from cli.given import yaml_value

OBJECTS = ("schedule", "json_form", "object_selection")  # their values are written as JSON or YAML


def fields_of(config: Json) -> dict[str, Json]:
    return {field["key"]: field for page in config["pages"] for field in page["fields"]}


def typed(fields: Mapping[str, Json], path: str, text: str) -> Any:
    """`path` is a field's key, perhaps with a name within its value: `shop.token`."""
    key, dot, _ = path.partition(".")
    field = fields.get(key)
    if field is None or (dot and field["type"] in ("connection", "field_map")):
        return text
    whole = not dot and (field["collection"] or field["type"] in ("connection", "field_map"))
    return _object(text) if whole or field["type"] in OBJECTS else _scalar(field, text)


def _scalar(field: Json, text: str) -> Any:
    match field["type"]:
        case "number":
            return _number(text)
        case "boolean":
            return {"true": True, "false": False}.get(text, text)
        case "picklist":
            return next((option for option in field["options"] or () if _as_text(option) == text), text)
    return text


def _number(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text


def _as_text(option: Any) -> str:
    return option if isinstance(option, str) else json.dumps(option)


def _object(text: str) -> Any:
    try:
        return yaml_value(text)
    except yaml.YAMLError:
        return text
