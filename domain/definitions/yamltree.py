"""Strict YAML to plain values and their marks: YAML 1.2's core types; no aliases, tags, merge keys or duplicate keys.

Built from the parser's events, without recursion, so that hostile nesting is refused before anything is made of it.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import yaml

from domain.definitions.places import MOST_PROBLEMS, MarkNode, Marks, problem
from domain.errors import Problem
from domain.text import clean_text, truncate
from domain.values import Location

MOST_BYTES = 1024 * 1024
MOST_DEPTH = 64
LARGEST_INT = 2**53 - 1

_BOM = "\ufeff"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# JSON writes characters beyond U+FFFF as two escapes, which YAML knows as one of another form.
_JSON_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


@dataclass(frozen=True)
class Tree:
    """`complete` says that the value is worth a look in spite of the problems."""

    value: Any
    marks: Marks
    problems: list[Problem]
    complete: bool


class _Unreadable(Exception):
    """Nothing useful can be read from here on."""

    def __init__(self, code: str, detail: str, line: int, column: int, location: Location = ()) -> None:
        super().__init__(detail)
        self.problem = problem(location, code, detail, line, column)


def read_tree(text: str | bytes) -> Tree:
    builder = _Builder()
    try:
        for event in yaml.parse(_checked_text(text), Loader=yaml.CSafeLoader):
            builder.take(event)
    except _Unreadable as error:
        builder.problems.append(error.problem)
        builder.complete = False
    except yaml.MarkedYAMLError as error:
        builder.problems.append(_syntax_problem(error))
        builder.complete = False
    except yaml.YAMLError as error:
        builder.problems.append(problem((), "yaml_syntax", truncate(str(error), 200), 1, 1))
        builder.complete = False
    return Tree(builder.value, Marks(builder.root), builder.problems, builder.complete)


def _checked_text(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(data) > MOST_BYTES:
        raise _Unreadable("definition_too_large", "a definition is at most 1 MiB of text", 1, 1)
    text = _decoded(text) if isinstance(text, bytes) else text
    if text.startswith(_BOM):
        raise _Unreadable("yaml_syntax", "the text begins with a byte order mark; save it as UTF-8 without one", 1, 1)
    if found := _UNPRINTABLE.search(text):
        line, column = _position(text[: found.start()])
        raise _Unreadable("yaml_syntax", f"the character U+{ord(found[0]):04X} is not allowed", line, column)
    return _JSON_PAIR.sub(_joined_pair, text) if text.lstrip().startswith("{") else text


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode("utf-8"))
        raise _Unreadable("yaml_syntax", "the text is not UTF-8", line, column) from None


def _position(before: str) -> tuple[int, int]:
    lines = before.replace("\r\n", "\n").replace("\r", "\n")
    return lines.count("\n") + 1, len(lines) - lines.rfind("\n")


def _joined_pair(found: re.Match[str]) -> str:
    high, low = int(found[2], 16), int(found[3], 16)
    return f"{found[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    detail = ", ".join(part for part in (error.context, error.problem) if part)
    code = "too_deep" if "nesting depth" in detail else "yaml_syntax"
    return problem((), code, truncate(detail, 200), line, column)


@dataclass(slots=True)
class _Frame:
    """A container under construction; `key` is where its current value stands."""

    container: dict[str, Any] | list[Any]
    node: MarkNode
    expects_key: bool
    key: str | int | None = None
    key_mark: tuple[int, int] | None = None
    duplicate: bool = False


class _Builder:
    def __init__(self) -> None:
        self.value: Any = None
        self.root = MarkNode((1, 1))
        self.problems: list[Problem] = []
        self.complete = True
        self._frames: list[_Frame] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._unreadable(event, "yaml_documents", "the text holds more than one document")
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._frames.pop()
        elif isinstance(event, yaml.NodeEvent):
            frame = self._frames[-1] if self._frames else None
            if frame and frame.expects_key:
                self._take_key(frame, event)
            else:
                self._take_value(frame, event)

    def _refuse_decoration(self, event: yaml.NodeEvent) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self._unreadable(
                event, "yaml_alias", f"aliases such as *{truncate(str(event.anchor), 60)} are not read"
            )
        if event.anchor is not None:
            self._report(event, "yaml_alias", f"anchors such as &{truncate(event.anchor, 60)} are not read")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._report(event, "yaml_tag", f"tags such as {truncate(tag, 60)} are not read")

    def _take_key(self, frame: _Frame, event: yaml.NodeEvent) -> None:
        frame.key, frame.key_mark, frame.expects_key = None, _mark(event), False
        self._refuse_decoration(event)
        if not isinstance(event, yaml.ScalarEvent):
            raise self._unreadable(event, "yaml_key", "a key must be text")
        frame.key = key = self._text(event)
        if event.style in (None, ""):
            if key == "<<":
                raise self._unreadable(event, "yaml_merge_key", "merge keys (<<) are not read")
            if not isinstance(self._plain(event), str):
                self._report(event, "yaml_key", f"a key must be text: write it in quotes, '{truncate(key, 60)}'")
        frame.duplicate = key in frame.container
        if frame.duplicate:
            self._report(event, "duplicate_key", f"the key {truncate(key, 60)} is here twice")

    def _take_value(self, frame: _Frame | None, event: yaml.NodeEvent) -> None:
        node = MarkNode(_mark(event))
        if frame and isinstance(frame.container, list):
            frame.key = len(frame.container)
        self._refuse_decoration(event)
        if isinstance(event, yaml.ScalarEvent):
            self._place(self._scalar(event), node)
            return
        if len(self._frames) >= MOST_DEPTH:
            raise self._unreadable(event, "too_deep", f"nested deeper than {MOST_DEPTH}")
        if isinstance(event, yaml.SequenceStartEvent):
            inner = _Frame([], node, expects_key=False)
        else:
            inner = _Frame({}, node, expects_key=True)
        self._place(inner.container, node)
        self._frames.append(inner)

    def _place(self, value: Any, node: MarkNode) -> None:
        if not self._frames:
            self.value, self.root = value, node
            return
        frame = self._frames[-1]
        if isinstance(frame.container, list):
            frame.node.children[len(frame.container)] = node
            frame.container.append(value)
            return
        frame.expects_key = True
        if isinstance(frame.key, str) and not frame.duplicate:
            node.key = frame.key_mark
            frame.node.children[frame.key] = node
            frame.container[frame.key] = value

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        return self._plain(event) if event.style in (None, "") else self._text(event)

    def _plain(self, event: yaml.ScalarEvent) -> Any:
        text = self._text(event)
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return self._int(event, text)
        if _FLOAT.fullmatch(text) or _NOT_FINITE.fullmatch(text):
            number = float(text) if _FLOAT.fullmatch(text) else math.inf
            if math.isfinite(number):
                return number
            self._report(event, "invalid_value", f"{truncate(text, 60)} is not a finite number")
            return 0.0
        return text

    def _int(self, event: yaml.ScalarEvent, text: str) -> int:
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        number = int(text, base) if len(text) <= 60 else LARGEST_INT + 1
        if abs(number) > LARGEST_INT:
            self._report(event, "invalid_value", "a whole number beyond 2^53 is not exact: write it in quotes")
            return 0
        return number

    def _text(self, event: yaml.ScalarEvent) -> str:
        text = str(event.value)
        if clean_text(text) != text:
            self._report(event, "yaml_syntax", "text holds neither NUL nor half of a surrogate pair")
        return text

    def _location(self) -> Location:
        return tuple(frame.key for frame in self._frames if frame.key is not None)

    def _report(self, event: yaml.Event, code: str, detail: str) -> None:
        if len(self.problems) >= MOST_PROBLEMS:
            raise self._unreadable(event, code, detail)
        self.problems.append(problem(self._location(), code, detail, *_mark(event)))

    def _unreadable(self, event: yaml.Event, code: str, detail: str) -> _Unreadable:
        return _Unreadable(code, detail, *_mark(event), self._location())


def _mark(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
