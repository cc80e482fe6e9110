"""Kinds of connections: the inputs of each, which of them are secret, and whether a value fits."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from domain.errors import Problem
from domain.text import clean_text, nearest

LONGEST_INPUT = 16 * 1024
OAUTH2 = "http/oauth2"
REFERENCE = "connection_id"
TOKENS = ("access_token", "refresh_token")  # what a connection of kind OAUTH2 holds besides its inputs

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110: a header's name
_VISIBLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class ConnectionStatus(StrEnum):
    """Pending: not complete, or nobody has authorised it yet. Needs reauth: only a person can mend it."""

    PENDING = "pending"
    ACTIVE = "active"
    ERROR = "error"
    NEEDS_REAUTH = "needs_reauth"


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
    optional: bool = False
    address: bool = False  # an http or https URL
    many: bool = False  # a list of texts is taken too: its items joined by spaces
    switch: bool = False  # true and false stand for the first and the last option


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
        ConnectionKind(
            OAUTH2,
            (
                ConnectionInput("authorize_url", optional=True, address=True),
                ConnectionInput("token_url", address=True),
                ConnectionInput("client_id", header_text=True, without=":"),
                ConnectionInput("client_secret", secret=True, optional=True, header_text=True),
                ConnectionInput("scopes", optional=True, many=True, empty=True),
                ConnectionInput(
                    "grant", default="authorization_code", options=("authorization_code", "client_credentials")
                ),
                ConnectionInput("pkce", default="S256", options=("S256", "none"), switch=True),
                ConnectionInput("client_auth", optional=True, options=("basic", "post", "none")),
                ConnectionInput("audience", optional=True),
                ConnectionInput("issuer", optional=True),
                ConnectionInput("revocation_url", optional=True, address=True),
            ),
        ),
    )
}


def check_connection(kind: str, value: Any, pointer: str, default: Any = None) -> list[Problem]:
    """`default` is the definition's, which fills in what the value leaves out. Details never quote a value: it may be
    a secret in the wrong place."""
    if kind not in KINDS:
        return [Problem(pointer, "not_supported_yet", f"connections of kind {kind} are not built yet")]
    if not isinstance(value, dict):
        return [Problem(pointer, "wrong_type", f"a connection is an object of {_names(KINDS[kind])}")]
    if REFERENCE in value:
        return _check_reference(value, pointer)
    return check_inputs(kind, merged(default, value), pointer)


def check_inputs(kind: str, value: Mapping[str, Any], pointer: str) -> list[Problem]:
    problems = [_unknown_input(KINDS[kind], str(key), pointer) for key in value if KINDS[kind].input(key) is None]
    for each in KINDS[kind].inputs:
        where = f"{pointer}/{each.key}"
        found = value.get(each.key)
        found = each.default if found is None else _plain(each, found)
        if found is None and not each.optional:
            problems.append(Problem(where, "missing", f"{each.key} is missing"))
        elif found is not None and (detail := _misfit(each, found)):
            problems.append(Problem(where, "invalid_value" if isinstance(found, str) else "wrong_type", detail))
    return problems or _misfits_together(kind, complete(kind, value), pointer)


def reference(value: Any) -> str | None:
    """The id of the reusable connection that a value points at, if it does."""
    found = value.get(REFERENCE) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def merged(default: Any, value: Any) -> Any:
    """An instance's inputs over those that the definition gives; a reference stands alone."""
    if value is None or not isinstance(default, dict):
        return default if value is None else value
    if not isinstance(value, dict) or REFERENCE in value or REFERENCE in default:
        return value
    return {**default, **{key: item for key, item in value.items() if item is not None}}


def complete(kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """With the defaults of its kind filled in, each input in its plain form."""
    inputs = KINDS[kind].inputs
    defaults = {each.key: each.default for each in inputs if each.default is not None}
    return defaults | {each.key: _plain(each, value[each.key]) for each in inputs if value.get(each.key) is not None}


def public_fields(kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """What `config.<connection>` yields: everything but secrets."""
    if REFERENCE in value:
        return {REFERENCE: value[REFERENCE]}
    whole = complete(kind, value)
    return {each.key: whole.get(each.key) for each in KINDS[kind].inputs if not each.secret}


def secret_texts(kind: str, value: Mapping[str, Any]) -> list[str]:
    """All texts to mask once this connection is used, the form in which HTTP Basic sends it too."""
    keys = [each.key for each in KINDS[kind].inputs if each.secret] + (list(TOKENS) if kind == OAUTH2 else [])
    texts = [value[key] for key in keys if value.get(key)]
    if kind == "http/basic":
        pair = f"{value.get('username', '')}:{value.get('password', '')}"
        texts.append(b64encode(pair.encode("utf-8", "surrogatepass")).decode())
    return texts


def _check_reference(value: Mapping[str, Any], pointer: str) -> list[Problem]:
    others = [str(key) for key in value if key != REFERENCE]
    if others:
        where = f"{pointer}/{_escaped(others[0])}"
        return [Problem(where, "unknown_key", f"{REFERENCE} stands alone: the reusable connection has the inputs")]
    found = value[REFERENCE]
    if not isinstance(found, str) or not found or len(found) > 100 or clean_text(found) != found:
        return [Problem(f"{pointer}/{REFERENCE}", "wrong_type", f"{REFERENCE} must be the id of a connection")]
    return []


def _plain(each: ConnectionInput, found: Any) -> Any:
    if each.many and isinstance(found, list) and all(isinstance(item, str) for item in found):
        return " ".join(found)
    if each.switch and isinstance(found, bool):
        return each.options[0] if found else each.options[-1]
    return found


def _misfit(each: ConnectionInput, found: Any) -> str | None:
    if not isinstance(found, str):
        return f"{each.key} must be text" + (" or a list of texts" if each.many else "")
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
    if each.address and not is_address(found):
        return f"{each.key} must be an address such as https://auth.example.com/token, without a fragment"
    return None


def is_address(text: str) -> bool:
    """Whether a browser and we would read the same http or https URL in it; without credentials and fragment."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and "@" not in parts.netloc and not set(text) & set('\\#"<>^`{|} ') and text.isascii()


def _misfits_together(kind: str, whole: Mapping[str, Any], pointer: str) -> list[Problem]:
    """Of inputs that fit one by one."""
    if _is_header(kind, whole) and not _TOKEN.fullmatch(whole["name"]):
        return [Problem(f"{pointer}/name", "invalid_value", "this is not the name of a header")]
    if kind != OAUTH2:
        return []
    wanted = "client_secret" if whole["grant"] == "client_credentials" else "authorize_url"
    if wanted in whole:
        return []
    return [Problem(f"{pointer}/{wanted}", "missing", f"{wanted} is missing: the grant {whole['grant']} needs it")]


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
