"""Sending log lines on: the template of one, and how several make a request's body."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.text import nearest

LARGEST_BODY = 900_000  # bytes: less than any of the usual services takes
LONGEST_DELAY = timedelta(minutes=5)
TRIES_ALONE = 5  # of one line that the target will not have, before the others go on without it

# What a target says that has understood us and will not have what we send.
REFUSALS = frozenset({400, 413, 422})

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SYSLOG = {"trace": 7, "debug": 7, "info": 6, "warn": 4, "error": 3, "fatal": 2}
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
LINE_END = re.compile(r"[\r\n]+")

# Words of Prismatic's that are no others of ours in another spelling.
ALIASES = {
    "flow_config_id": "flow_id",
    "flow_config_name": "flow_name",
    "is_test_execution": "is_test",
    "step_name": "step",
}


class BatchFormat(StrEnum):
    ARRAY = "array"  # a JSON array
    LINES = "lines"  # one below the other
    SINGLE = "single"  # one line a request


@dataclass(frozen=True)
class Line:
    """A log line with the names of what it is about."""

    id: str
    timestamp: datetime
    severity: str
    message: str
    type: str
    step: str | None = None
    attempt: int | None = None
    is_test: bool = False
    execution_id: str | None = None
    flow_id: str | None = None
    flow_name: str | None = None
    instance_id: str | None = None
    instance_name: str | None = None
    integration_id: str | None = None
    integration_name: str | None = None
    customer_id: str | None = None
    customer_external_id: str | None = None
    customer_name: str | None = None

    def values(self) -> dict[str, Any]:
        """By placeholder."""
        microseconds = (self.timestamp - EPOCH) // datetime.resolution
        return vars(self) | {
            "timestamp": microseconds // 1000,
            "timestamp_s": microseconds // 1_000_000,
            "timestamp_ns": microseconds * 1000,
            "timestamp_iso": self.timestamp.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "severity_number": SYSLOG[self.severity],
        }


SAMPLE = Line(
    id="log_01k5q2m7a8x9y0z1b2c3d4e5f6",
    timestamp=datetime(2026, 3, 1, 12, 0, 0, 123_000, UTC),
    severity="info",
    message='A test of the log stream: "quotes", 100% and\nline ends',
    type="management",
    step="lines[2].ship",
    attempt=1,
    is_test=True,
    execution_id="exec_01k5q2m7a8x9y0z1b2c3d4e5f6",
    flow_id="flow_01k5q2m7a8x9y0z1b2c3d4e5f6",
    flow_name="Order created",
    instance_id="inst_01k5q2m7a8x9y0z1b2c3d4e5f6",
    instance_name="Order sync of Acme",
    integration_id="intg_01k5q2m7a8x9y0z1b2c3d4e5f6",
    integration_name="Order sync",
    customer_id="cust_01k5q2m7a8x9y0z1b2c3d4e5f6",
    customer_external_id="4711",
    customer_name="Acme",
)
BARE = Line("log_0", SAMPLE.timestamp, "warn", "", "connection")
PLACEHOLDERS = tuple(SAMPLE.values())
STANDARD = json.dumps({name: f"{{{{ {name} }}}}" for name in ("timestamp_iso", *vars(SAMPLE)) if name != "timestamp"})


class TemplateInvalid(ValueError):
    """Says what is wrong, for people."""


class Template:
    """JSON when it is JSON with its placeholders filled in: then values are escaped where they stand between quotes,
    and are JSON themselves where they do not. Else plain text, of one line."""

    def __init__(self, text: str) -> None:
        self._parts = PLACEHOLDER.split(text)  # text, name, text, name, … text
        self._names = [_known(name) for name in self._parts[1::2]]
        self._quoted = _between_quotes(self._parts[::2])
        self.is_json = all(_is_json(self._filled(line, as_json=True)) for line in (SAMPLE, BARE))
        if not self.is_json and LINE_END.search(text):
            raise TemplateInvalid("A template of several lines must be JSON once its placeholders are filled in.")

    def render(self, line: Line) -> str:
        """In one line."""
        filled = self._filled(line, as_json=self.is_json)
        return _compact(json.loads(filled)) if self.is_json else filled

    def _filled(self, line: Line, *, as_json: bool) -> str:
        values, filled = line.values(), [self._parts[0]]
        for name, quoted, text in zip(self._names, self._quoted, self._parts[2::2], strict=True):
            value = values[name]
            filled.append((_within_quotes(value) if quoted else json.dumps(value)) if as_json else _plain(value))
            filled.append(text)
        return "".join(filled)


@dataclass(frozen=True)
class Body:
    content: bytes
    content_type: str
    lines: int  # how many of those given are in it: as many as fit


def body_of(template: Template, lines: Sequence[Line], batch_format: BatchFormat) -> Body:
    """Of at least one line, however long that is."""
    texts: list[str] = []
    size = 2
    for line in lines[:1] if batch_format is BatchFormat.SINGLE else lines:
        text = template.render(line)
        size += len(text.encode()) + 1
        if texts and size > LARGEST_BODY:
            break
        texts.append(text)
    match batch_format:
        case BatchFormat.ARRAY:
            content, content_type = f"[{','.join(texts)}]", "application/json"
        case BatchFormat.LINES:
            content = "".join(f"{text}\n" for text in texts)
            content_type = "application/x-ndjson" if template.is_json else "text/plain; charset=utf-8"
        case BatchFormat.SINGLE:
            content = texts[0]
            content_type = "application/json" if template.is_json else "text/plain; charset=utf-8"
    return Body(content.encode("utf-8", "replace"), content_type, len(texts))


def delay_after(failures: int) -> timedelta:
    """From a second on, doubled with every failure."""
    return min(timedelta(seconds=2 ** min(failures - 1, 20)), LONGEST_DELAY)


def _known(name: str) -> str:
    ours = CAPITAL.sub("_", name).lower()
    ours = ALIASES.get(ours, ours)
    if ours not in PLACEHOLDERS:
        hint = nearest(ours, PLACEHOLDERS)
        meant = f"did you mean {hint}?" if hint else f"there are {', '.join(PLACEHOLDERS)}."
        raise TemplateInvalid(f"There is no placeholder {name}; {meant}")
    return ours


def _between_quotes(texts: Sequence[str]) -> list[bool]:
    """Whether the gap behind each text but the last lies within a string of JSON."""
    gaps, quoted = [], False
    for text in texts[:-1]:
        unescaped = re.sub(r"\\.", "", text, flags=re.DOTALL)
        quoted ^= unescaped.count('"') % 2 == 1
        gaps.append(quoted)
    return gaps


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _within_quotes(value: Any) -> str:
    return json.dumps(_text(value))[1:-1]


def _plain(value: Any) -> str:
    return LINE_END.sub(" ", _text(value))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
