"""Expressions in definitions: `{{ path }}` and templates, their evaluation, and the markers that stand for secrets.

Runs inside workflow code: deterministic, without recursion over user data, linear in input and result.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

Location = tuple[str | int, ...]
Parts = tuple["str | Path", ...]

LIMIT = 16 * 1024 * 1024
SECRET = "$flowgraft.secret"
PARTS = "$flowgraft.parts"
MAC = "mac"
MASK = "•••"

_MAX_NESTING = 200
_MOST_INDEX_DIGITS = 9
_LONGEST_CACHED = 2000
_SHORTEST_MASKED = 4
_ONLY_PATHS = "{{ }} holds one path, without operators, filters or calls"
_JSON = json.JSONDecoder()


class PathSyntax(ValueError):
    """`offset` counts from 0 in the text given; `location` is where that text stands in a nested value."""

    def __init__(self, message: str, offset: int, location: Location = ()) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.location = location


class EvaluationTooLarge(ValueError):
    """The result would exceed the limit, or is nested too deeply."""


@dataclass(frozen=True)
class Path:
    """`text` is the path as written, `offset` where it begins in its template."""

    root: str
    segments: Location = ()
    text: str = field(default="", compare=False)
    offset: int = field(default=0, compare=False)


class HeaderMap(dict[str, Any]):
    """Header names without regard to case; kept, and written as JSON, in lower case."""

    def __init__(self, headers: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__({name.lower(): value for name, value in dict(headers).items()})

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name.lower())

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name.lower(), value)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


# Reading


def is_expression(text: str) -> bool:
    return "{{" in text


def parse_path(text: str) -> Path:
    """Raises PathSyntax."""
    start = _skip_space(text, 0)
    if start == len(text):
        raise PathSyntax("a path is missing", start)
    path, end = _scan_path(text, start)
    end = _skip_space(text, end)
    if end < len(text):
        raise _unexpected(text, end)
    return path


def parse_template(text: str) -> Parts:
    """Literal text and paths, in order. Raises PathSyntax."""
    return _cached_template(text) if len(text) <= _LONGEST_CACHED else _scan_template(text)


def config_key(text: str) -> str | None:
    """The key, if the text is one `{{ config.key }}` and nothing else. Raises PathSyntax."""
    parts = parse_template(text)
    path = parts[0] if len(parts) == 1 else None
    if not isinstance(path, Path) or path.root != "config" or len(path.segments) != 1:
        return None
    return str(path.segments[0])


def paths_in(value: Any) -> Iterator[tuple[Location, Path]]:
    """All paths of a nested value in reading order; raises PathSyntax with its location."""
    pending: list[tuple[Location, Any]] = [((), value)]
    while pending:
        location, item = pending.pop()
        if isinstance(item, str) and is_expression(item):
            try:
                parts = parse_template(item)
            except PathSyntax as error:
                raise PathSyntax(error.message, error.offset, location) from None
            yield from ((location, part) for part in parts if isinstance(part, Path))
        elif isinstance(item, dict):
            pending.extend(((*location, key), item[key]) for key in reversed(item))
        elif isinstance(item, list):
            pending.extend(((*location, index), item[index]) for index in reversed(range(len(item))))


def _scan_template(text: str) -> Parts:
    parts: list[str | Path] = []
    position = 0
    while (opening := text.find("{{", position)) >= 0:
        if opening > position:
            parts.append(text[position:opening])
        path, position = _scan_expression(text, opening)
        parts.append(path)
    if position < len(text):
        parts.append(text[position:])
    return tuple(parts)


_cached_template = lru_cache(maxsize=4096)(_scan_template)


def _scan_expression(text: str, opening: int) -> tuple[Path, int]:
    start = _skip_space(text, opening + 2)
    if start == len(text):
        raise PathSyntax("{{ is never closed", opening)
    if text.startswith("}}", start):
        raise PathSyntax("{{ }} is empty: a path is missing", start)
    path, end = _scan_path(text, start)
    end = _skip_space(text, end)
    if end == len(text):
        raise PathSyntax("{{ is never closed", opening)
    if not text.startswith("}}", end):
        raise _unexpected(text, end)
    return path, end + 2


def _scan_path(text: str, start: int) -> tuple[Path, int]:
    end = _name_end(text, start)
    if end == start:
        raise _unexpected(text, start)
    root = text[start:end]
    segments: list[str | int] = []
    while text[end : end + 1] in (".", "["):
        segment, end = _scan_segment(text, end)
        segments.append(segment)
    return Path(root, tuple(segments), text[start:end], start), end


def _scan_segment(text: str, start: int) -> tuple[str | int, int]:
    inside = start + 1
    if text[start] == ".":
        end = _name_end(text, inside)
        if end == inside:
            raise PathSyntax("a name is missing after the dot", inside)
        return text[inside:end], end
    segment, end = _scan_quoted(text, inside) if text[inside : inside + 1] == '"' else _scan_index(text, inside)
    if text[end : end + 1] != "]":
        raise PathSyntax("] is missing", end)
    return segment, end + 1


def _scan_quoted(text: str, start: int) -> tuple[str, int]:
    try:
        name, end = _JSON.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise PathSyntax(f"not a JSON string: {error.msg}", error.pos) from None
    return str(name), end


def _scan_index(text: str, start: int) -> tuple[int, int]:
    end = start
    while "0" <= text[end : end + 1] <= "9":
        end += 1
    if not 0 < end - start <= _MOST_INDEX_DIGITS:
        raise PathSyntax('[ ] holds an index such as 0 or a name such as "any text"', start)
    return int(text[start:end]), end


def _name_end(text: str, position: int) -> int:
    while position < len(text) and (text[position].isalnum() or text[position] in "_-"):
        position += 1
    return position


def _skip_space(text: str, position: int) -> int:
    while text[position : position + 1].isspace():
        position += 1
    return position


def _unexpected(text: str, position: int) -> PathSyntax:
    return PathSyntax(f"unexpected {text[position]!r}: {_ONLY_PATHS}", position)


# Evaluation


def lookup(path: Path, roots: Mapping[str, Any]) -> Any:
    """What a path points at; None for anything absent."""
    found = roots.get(path.root)
    for position, segment in enumerate(path.segments):
        found = _child(found, segment)
        # Data that crossed Temporal has lost the type, and with it the disregard of case.
        if position == 0 and path.root == "trigger" and segment == "headers" and isinstance(found, dict):
            found = HeaderMap(found)
    return found


def _child(value: Any, segment: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(segment) if isinstance(segment, str) else None
    if not isinstance(value, list):
        return None
    if isinstance(segment, str):
        if not (segment.isascii() and segment.isdigit() and len(segment) <= _MOST_INDEX_DIGITS):
            return None
        segment = int(segment)
    return value[segment] if 0 <= segment < len(value) else None


def evaluate(value: Any, roots: Mapping[str, Any], limit: int = LIMIT) -> Any:
    """A string that is one `{{ path }}` and nothing else becomes what it points at, shared and not copied.

    The limit counts nodes and the characters of templates. Raises EvaluationTooLarge.
    """
    return evaluate_with(value, lambda path: lookup(path, roots), limit)


def evaluate_with(value: Any, resolve: Callable[[Path], Any], limit: int = LIMIT) -> Any:
    """As `evaluate`, where `resolve` says what a path points at."""
    return _Evaluation(resolve, limit).value(value)


class _Evaluation:
    def __init__(self, resolve: Callable[[Path], Any], limit: int) -> None:
        self.resolve = resolve
        self.left = limit

    def value(self, value: Any, depth: int = 0) -> Any:
        self.spend(1)
        if depth > _MAX_NESTING:
            raise EvaluationTooLarge(f"nested deeper than {_MAX_NESTING}")
        if isinstance(value, str):
            return self.text(value) if is_expression(value) else value
        if isinstance(value, dict):
            return {key: self.value(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, depth + 1) for item in value]
        return value

    def text(self, template: str) -> Any:
        parts = parse_template(template)
        if len(parts) == 1 and isinstance(parts[0], Path):
            return self.resolve(parts[0])
        pieces = [self.piece(part) for part in parts]
        if any(isinstance(piece, dict) for piece in pieces):
            return {PARTS: pieces}
        return "".join(pieces)

    def piece(self, part: str | Path) -> Any:
        """Text, or a secret's marker: only configuration holds those, so that data cannot pose as one."""
        found = part if isinstance(part, str) else self.resolve(part)
        if isinstance(part, Path) and part.root == "config":
            if is_secret_marker(found):
                return found
            found = _rewrite(found, lambda item: None if is_secret_marker(item) else item)
        text = found if isinstance(found, str) else self.json_text(found)
        self.spend(len(text))
        return text

    def json_text(self, value: Any) -> str:
        """Total, unlike `jsontext.dumps`: a stray NaN in a template must not stop a workflow."""
        if value is None:
            return ""
        _ensure_small(value, self.left)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise EvaluationTooLarge("the result is too large")


def _ensure_small(value: Any, limit: int) -> None:
    """Before it is written out: neither longer than the limit nor deep enough to exhaust the encoder's stack."""
    size = 0
    level = [value]
    for _ in range(_MAX_NESTING):
        deeper: list[Any] = []
        for item in level:
            size += 1 + len(item) if isinstance(item, str) else 1
            if isinstance(item, dict):
                deeper.extend(item)
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
            if size + len(deeper) > limit:
                raise EvaluationTooLarge("the result is too large")
        level = deeper
    if level:
        raise EvaluationTooLarge(f"nested deeper than {_MAX_NESTING}")


# Secrets


def secret_marker(key: str, mac: str) -> dict[str, str]:
    """Stands for the secret of a config key; genuine only if the mac is."""
    return {SECRET: key, MAC: mac}


def is_secret_marker(value: Any) -> bool:
    """By its shape; whether it is genuine only the resolving side can tell."""
    return isinstance(value, dict) and value.keys() == {SECRET, MAC} and all(isinstance(v, str) for v in value.values())


def resolve_secrets(value: Any, resolve: Callable[[str, str], str | None]) -> tuple[Any, list[str]]:
    """Puts secrets in place of their markers; returns the secrets used too, for masking.

    `resolve` takes key and mac, and answers None if they do not belong together: such a marker is data and stays.
    """
    used: dict[str, None] = {}

    def secret_of(item: Any) -> str | None:
        secret = resolve(item[SECRET], item[MAC]) if is_secret_marker(item) else None
        if secret is not None:
            used[secret] = None
        return secret

    def reveal(item: Any) -> Any:
        if not isinstance(item, dict):
            return item
        parts = item.get(PARTS) if len(item) == 1 else None
        if not isinstance(parts, list):
            secret = secret_of(item)
            return item if secret is None else secret
        texts = [part if isinstance(part, str) else secret_of(part) for part in parts]
        genuine = None not in texts and not all(isinstance(part, str) for part in parts)
        return "".join(text for text in texts if text is not None) if genuine else item

    return _rewrite(value, reveal), list(used)


def mask(value: Any, secrets: Collection[str], text: str = MASK) -> Any:
    """Replaces each secret of at least 4 characters, and its usual encodings, in every string and key."""
    known = [secret for secret in secrets if len(secret) >= _SHORTEST_MASKED]
    forms = sorted({form for secret in known for form in _forms(secret)}, key=lambda form: (-len(form), form))

    def masked(item: Any) -> Any:
        if isinstance(item, str):
            for form in forms:
                item = item.replace(form, text)
        elif isinstance(item, dict):
            return {masked(key): child for key, child in item.items()}
        elif isinstance(item, int | float) and str(item) in known:
            return text
        return item

    return _rewrite(value, masked) if forms else value


def _forms(secret: str) -> Iterator[str]:
    data = secret.encode("utf-8", "surrogatepass")
    yield from (secret, quote(data, safe=""), quote(data), quote_plus(data))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    for encoded in (b64encode(data).decode(), *_inside_base64(data)):
        yield from (encoded, encoded.replace("+", "-").replace("/", "_"))


def _inside_base64(data: bytes) -> Iterator[str]:
    """The characters that depend on the secret alone when it is encoded with other text around it, as in HTTP Basic."""
    for before in range(3):
        first = -(-before * 8 // 6)
        end = (before + len(data)) * 8 // 6
        yield b64encode(bytes(before) + data).decode()[first:end]


def _rewrite(value: Any, change: Callable[[Any], Any]) -> Any:
    """A copy with `change` applied to every node from the top down, without recursion."""
    top: list[Any] = [value]
    pending: list[tuple[Any, Any]] = [(top, 0)]
    while pending:
        holder, slot = pending.pop()
        item = change(holder[slot])
        if isinstance(item, dict):
            item = dict(item)
            pending.extend((item, key) for key in item)
        elif isinstance(item, list | tuple):
            item = list(item)
            pending.extend((item, index) for index in range(len(item)))
        holder[slot] = item
    return top[0]
