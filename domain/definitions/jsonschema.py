"""The JSON Schema of `flowgraft/v1`, from the model, in keywords of draft 7 so that YAML editors understand it.

`python -m domain.definitions.jsonschema` writes the committed file.
"""

import json
from pathlib import Path
from typing import Any

from domain.definitions.model import Definition

FILE = Path(__file__).parents[2] / "schema" / "flowgraft-v1.json"

_DRAFT = "http://json-schema.org/draft-07/schema#"
_NAMED = ("properties", "definitions")  # whose keys are names and not keywords


def definition_schema() -> dict[str, Any]:
    schema: dict[str, Any] = _draft7(Definition.model_json_schema(by_alias=True))
    schema["title"] = "Flowgraft integration definition"
    return {"$schema": _DRAFT, **schema}


def schema_text() -> str:
    return json.dumps(definition_schema(), indent=2, ensure_ascii=False) + "\n"


def _draft7(schema: Any) -> Any:
    """Definitions by their old name, no OpenAPI keywords, no generated titles, nothing beside a `$ref`."""
    if isinstance(schema, list):
        return [_draft7(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in ("discriminator", "title") or (keyword == "default" and value is None):
            continue
        name = "definitions" if keyword == "$defs" else keyword
        if name in _NAMED:
            result[name] = {key: _draft7(each) for key, each in value.items()}
        else:
            result[name] = value if name == "default" else _draft7(value)
    if "$ref" in result:
        result["$ref"] = result["$ref"].replace("#/$defs/", "#/definitions/")
        if len(result) > 1:
            result["allOf"] = [{"$ref": result.pop("$ref")}]
    return result


if __name__ == "__main__":
    FILE.write_text(schema_text(), encoding="utf-8")
