"""Kinds of connections: the inputs of each, which of them are secret, and whether a value fits."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import Problem
from domain.text import clean_text, nearest

LONGEST_INPUT = 16 * 1024
NOT_BUILT = frozenset({"http/oauth2"})

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110: a header's name
_VISIBLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class ConnectionInput:
    """`header_text` will stand in a header as it is: visible ASCII."""

    key: str
    secret: bool = False
    default: str | None = None
    options: tuple[str, ...] = ()
    header_text: bool = False
    without: str = ""  # characters that would change its meaning
    empty: bool = False  # whether it may be


@dataclass(frozen=True)
class ConnectionKind:
    key: str
    inputs: tuple[ConnectionInput, ...]

    def input(self, key: str) -> ConnectionInput | None:
        return next((each for each in self.inputs if each.key == key), None)


KINDS: dict[str, ConnectionKind] = {
    kind.key: kind
    for kind in (
        ConnectionKind("http/bearer", (ConnectionInput("token", secret=True, header_text=True),)),
        ConnectionKind(
            "http/basic",
            (ConnectionInput("username", without=":"), ConnectionInput("password", secret=True, empty=True)),
        ),
        ConnectionKind(
            "http/api_key",
            (
                ConnectionInput("name"),
                ConnectionInput("value", secret=True, header_text=True),
                ConnectionInput("in", default="header", options=("header", "query")),
            ),
        ),
    )
}


def check_connection(kind: str, value: Any, pointer: str) -> list[Problem]:
    """Details never quote a value: it may be a secret in the wrong place."""
    if kind not in KINDS:
        return [Problem(pointer, "not_supported_yet", f"connections of kind {kind} are not built yet")]
    if not isinstance(value, dict):
        return [Problem(pointer, "wrong_type", f"a connection is an object of {_names(KINDS[kind])}")]
    if "connection_id" in value:
        return [Problem(f"{pointer}/connection_id", "not_supported_yet", "reusable connections are not built yet")]
    problems = [_unknown_input(KINDS[kind], str(key), pointer) for key in value if KINDS[kind].input(key) is None]
    for each in KINDS[kind].inputs:
        where = f"{pointer}/{each.key}"
        found = value.get(each.key, each.default)
        if found is None:
            problems.append(Problem(where, "missing", f"{each.key} is missing"))
        elif detail := _misfit(each, found):
            problems.append(Problem(where, "invalid_value" if isinstance(found, str) else "wrong_type", detail))
    if not problems and _is_header(kind, value) and not _TOKEN.fullmatch(value["name"]):
        problems.append(Problem(f"{pointer}/name", "invalid_value", "this is not the name of a header"))
    return problems


def complete(kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """With the defaults of its kind filled in."""
    defaults = {each.key: each.default for each in KINDS[kind].inputs if each.default is not None}
    return {**defaults, **{key: item for key, item in value.items() if item is not None}}


def public_fields(kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """What `config.<connection>` yields: everything but secrets."""
    whole = complete(kind, value)
    return {each.key: whole.get(each.key) for each in KINDS[kind].inputs if not each.secret}


def secret_texts(kind: str, value: Mapping[str, Any]) -> list[str]:
    """All texts to mask once this connection is used, the form in which HTTP Basic sends it too."""
    texts = [value[each.key] for each in KINDS[kind].inputs if each.secret and value.get(each.key)]
    if kind == "http/basic":
        pair = f"{value.get('username', '')}:{value.get('password', '')}"
        texts.append(b64encode(pair.encode("utf-8", "surrogatepass")).decode())
    return texts


def _misfit(each: ConnectionInput, found: Any) -> str | None:
    if not isinstance(found, str):
        return f"{each.key} must be text"
    if each.options:
        return None if found in each.options else f"{each.key} must be one of {', '.join(each.options)}"
    if not found and not each.empty:
        return f"{each.key} is empty"
    if len(found) > LONGEST_INPUT:
        return f"{each.key} is longer than {LONGEST_INPUT} characters"
    if _CONTROL.search(found) or clean_text(found) != found:
        return f"{each.key} holds control characters, such as a line break"
    if each.header_text and not _VISIBLE.fullmatch(found):
        return f"{each.key} must be visible ASCII without spaces around it"
    if any(character in found for character in each.without):
        return f"{each.key} must not hold {each.without}"
    return None


def _is_header(kind: str, value: Mapping[str, Any]) -> bool:
    return kind == "http/api_key" and value.get("in") in (None, "header")


def _unknown_input(kind: ConnectionKind, key: str, pointer: str) -> Problem:
    hint = nearest(key, [each.key for each in kind.inputs])
    detail = f"did you mean {hint}?" if hint else f"{kind.key} takes {_names(kind)}"
    return Problem(f"{pointer}/{_escaped(key)}", "unknown_key", f"unknown input; {detail}")


def _escaped(key: str) -> str:
    return clean_text(key[:100]).replace("~", "~0").replace("/", "~1")


def _names(kind: ConnectionKind) -> str:
    return ", ".join(each.key for each in kind.inputs)
