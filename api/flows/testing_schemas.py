"""What the test of a flow and its stored payload look like on the wire."""

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.shapes import CONTROL, Name, Patch

EXAMPLE: dict[str, Any] = {
    "body": {"id": 17},
    "headers": {"x-event-id": "evt-1"},
    "content_type": None,
    "query": {"page": "2"},
}
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")


def _are_headers(headers: dict[str, str]) -> dict[str, str]:
    if not all(TOKEN.fullmatch(name) for name in headers):
        raise ValueError("the name of a header is letters, digits and dashes")
    if any(CONTROL.search(value) for value in headers.values()):
        raise ValueError("the value of a header must not hold control characters")
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("a header is named twice")
    return headers


class FlowTest(Patch):
    """A request as a caller would send it. A body that is no text is sent as JSON."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    body: Any = Field(None, description="Text, where `content_type` is given and not JSON; else any JSON")
    headers: Annotated[dict[str, str], AfterValidator(_are_headers)] = Field(default_factory=dict)
    content_type: Name | None = Field(None, description="Default: application/json, where there is a body")
    query: dict[str, str | list[str]] = Field(default_factory=dict)


class TestPayloadRead(BaseModel):
    __test__ = False  # no test of ours, whatever its name

    body: Any
    headers: dict[str, str]
    content_type: str | None
    query: dict[str, str | list[str]]

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        return cls(
            body=given.get("body"),
            headers=given.get("headers", {}),
            content_type=given.get("content_type"),
            query=given.get("query", {}),
        )


class TestAccepted(BaseModel):
    __test__ = False

    execution_id: str
    url: str = Field(examples=["https://flows.example.com/v1/executions/exec_…"])
