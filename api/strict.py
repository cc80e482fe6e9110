"""What is refused before a handler runs: unknown or empty query parameters, bodies that are no strict JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from starlette.datastructures import Headers

from api.problems import pointer
from domain.errors import Invalid, MalformedBody, NotFound, Problem, TooLarge, UnsupportedMedia
from domain.jsontext import JsonRefused, strict_loads

BODY_LIMIT = 6 * 1024 * 1024  # bytes
MAY_BE_EMPTY = frozenset({"q"})
JSON = "application/json"

Declared = Mapping[str, bool]  # query parameter → may be repeated


@dataclass(frozen=True)
class Body:
    """`value` is the parsed JSON; None for an empty body and for other content types."""

    raw: bytes
    content_type: str
    value: Any = None


class StrictRequest(Request):
    """Gives the framework the body that was checked already; an empty one counts as an empty object."""

    def __init__(self, request: Request, body: Body) -> None:
        hidden = () if body.raw else (b"content-type",)
        headers = [item for item in request.scope["headers"] if item[0] not in hidden]
        super().__init__({**request.scope, "headers": headers}, request.receive)
        self._checked = body

    async def body(self) -> bytes:
        return self._checked.raw or b"{}"

    async def json(self) -> Any:
        return self._checked.value if self._checked.raw else {}


def declared_query(dependant: Dependant) -> dict[str, bool]:
    """Every query parameter that a route and its dependencies declare."""
    found: dict[str, bool] = {}
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            found |= {info.alias or name: _is_list(info) for name, info in model.model_fields.items()}
        else:
            found[field.alias] = _is_list(field.field_info)
    for each in dependant.dependencies:
        found |= declared_query(each)
    return found


def check_query(request: Request, declared: Declared) -> None:
    """Raises Invalid: a typo must never mean "no filter"."""
    problems = list(_query_problems(request, declared))
    if problems:
        raise Invalid("The query is not acceptable.", problems)


def check_path(request: Request) -> None:
    """A NUL fits no column, so nothing can be found under it."""
    if any("\x00" in str(value) for value in request.path_params.values()):
        raise NotFound("There is nothing here.")


async def read_body(request: Request, accepts: tuple[str, ...]) -> Body:
    """Raises UnsupportedMedia, TooLarge, MalformedBody."""
    _ensure_not_encoded(request.headers)
    raw = await _bounded(request)
    if not raw:
        return Body(raw, "")
    content_type = _content_type(request.headers)
    if content_type not in accepts:
        raise UnsupportedMedia(f"Send the body as {' or '.join(accepts)}.")
    return Body(raw, content_type, parse_json(raw) if content_type == JSON else None)


def parse_json(raw: bytes) -> Any:
    try:
        return strict_loads(raw)
    except JsonRefused as error:
        raise MalformedBody(f"The body is not acceptable JSON: {error.message}.") from None


def ensure_no_fields(body: Body) -> None:
    """For a call that takes no body: nothing or `{}`."""
    if body.value is None and not body.raw:
        return
    if not isinstance(body.value, dict):
        raise Invalid(
            "This call takes no body.", [Problem("#", "object_type", "Must be an object, or no body at all.")]
        )
    if body.value:
        problems = [Problem(pointer([key]), "unknown_field", "This call takes no fields.") for key in body.value]
        raise Invalid("This call takes no body.", problems)


def _query_problems(request: Request, declared: Declared) -> Iterator[Problem]:
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        where = pointer(["query", name])
        if name not in declared:
            yield Problem(where, "unknown_parameter", "There is no such parameter here.")
        elif name in seen and not declared[name]:
            yield Problem(where, "repeated", "May be given once only.")
        elif not value and name not in MAY_BE_EMPTY:
            yield Problem(where, "empty", "Must not be empty; leave the parameter out instead.")
        elif "\x00" in value:
            yield Problem(where, "invalid_character", "Must not hold a NUL character.")
        seen.add(name)


def _is_list(info: FieldInfo) -> bool:
    return get_origin(info.annotation) is list


def _ensure_not_encoded(headers: Headers) -> None:
    encodings = [part.strip().lower() for value in headers.getlist("content-encoding") for part in value.split(",")]
    if any(encoding not in ("", "identity") for encoding in encodings):
        raise UnsupportedMedia("Send the body without a Content-Encoding.")


def _content_type(headers: Headers) -> str:
    """The media type; a charset other than UTF-8 makes it one that nothing accepts."""
    media_type, *parameters = [part.strip().lower() for part in headers.get("content-type", "").split(";")]
    charsets = [part.partition("=")[2].strip('" ') for part in parameters if part.startswith("charset")]
    return media_type if all(charset in ("utf-8", "utf8") for charset in charsets) else f"{media_type};charset"


async def _bounded(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > BODY_LIMIT:
        raise _too_large()
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > BODY_LIMIT:
            raise _too_large()
    return bytes(received)


def _too_large() -> TooLarge:
    return TooLarge(f"The body is larger than {BODY_LIMIT // 1024 // 1024} MiB.")
