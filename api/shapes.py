"""The small shapes that requests and answers are made of: names, labels, texts, instants."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from domain.instants import RFC3339, read_instant

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CONTROL_BUT_SPACE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
MOST_LABELS = 100


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, `2026-03-01T12:00:00.000000Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_instant(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not RFC3339.fullmatch(value):
        raise ValueError("must be a time such as 2026-03-01T12:00:00Z")
    found = read_instant(value)
    if found is None:
        raise ValueError("is not a time that exists")
    return found


def _one_line(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError("must not hold control characters")
    return text


def _no_controls(text: str) -> str:
    if CONTROL_BUT_SPACE.search(text):
        raise ValueError("must not hold control characters other than tabs and line ends")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _lowered(labels: list[str]) -> list[str]:
    return list(dict.fromkeys(label.lower() for label in labels))


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_line), AfterValidator(_not_blank)]
Text = Annotated[str, Field(max_length=5000), AfterValidator(_no_controls)]
Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_one_line), AfterValidator(_not_blank)]
Labels = Annotated[list[Label], Field(max_length=MOST_LABELS), AfterValidator(_lowered)]
Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant),
    PlainSerializer(instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T12:00:00.000000Z"]}),
]


class Input(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Patch(Input):
    """A body that changes only the fields it names. A field that cannot be null gets a `default_factory`."""

    def changes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class Filter(BaseModel):
    """A list's filters: query parameters. What is unknown was refused before."""

    model_config = ConfigDict(frozen=True)


class Ref(BaseModel):
    """Another object, by id and name."""

    id: str
    name: str


class VersionRef(BaseModel):
    id: str
    number: int


class DeletionRead(BaseModel):
    """A deletion under way: poll `GET /v1/jobs/{job_id}`."""

    id: str
    job_id: str
    state: str = Field(examples=["deleting"])
