"""What a request becomes: the `trigger` root of expressions."""

import base64
from typing import Any
from urllib.parse import parse_qsl

from domain.jsontext import webhook_json
from domain.values import HeaderMap

Pairs = list[tuple[str, str]]


def trigger_root(
    method: str, path: str, query: Pairs, headers: Pairs, content_type: str | None, body: bytes
) -> dict[str, Any]:
    """`raw` (base64) is set only for a body that no other form can represent, to keep messages small."""
    text = _decode(body)
    return {
        "method": method,
        "path": path,
        "query": _grouped(query),
        "headers": _headers(headers),
        "content_type": content_type,
        "body": _body(content_type, body, text) if text else None,
        "raw": base64.b64encode(body).decode("ascii") if text is None else None,
    }


def _body(content_type: str | None, body: bytes, text: str) -> Any:
    """A media type that lies about its body is no reason to lose the body: then it is text."""
    media = (content_type or "").partition(";")[0].strip().lower()
    if media == "application/json" or media.endswith("+json"):
        parsed, value = webhook_json(body)
        if parsed:
            return value
    if media == "application/x-www-form-urlencoded":
        try:
            return _grouped(parse_qsl(text, keep_blank_values=True, errors="strict"))
        except UnicodeDecodeError:
            return text
    return text


def _decode(body: bytes) -> str | None:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _grouped(pairs: Pairs) -> dict[str, str | list[str]]:
    """A repeated name becomes the list of its values."""
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in groups.items()}


def _headers(pairs: Pairs) -> HeaderMap:
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name.lower(), []).append(value)
    return HeaderMap({name: ", ".join(values) for name, values in groups.items()})
