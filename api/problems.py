"""`application/problem+json` (RFC 9457) on every error path, with where the input was wrong."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from api.errors import HTTP_CODES, status_of
from domain.errors import (
    FlowgraftError,
    Invalid,
    MalformedBody,
    MethodNotAllowed,
    Problem,
    Unauthenticated,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 100
LONGEST_DETAIL = 1000
RETRY_AFTER = 5.0  # seconds, where the error itself does not say

PYDANTIC_CODES = {"missing": "required", "extra_forbidden": "unknown_field", "value_error": "invalid"}


class ProblemItem(BaseModel):
    """One thing that is wrong with the input. Definitions also say where in the text."""

    pointer: str = Field(examples=["#/name"])
    code: str = Field(examples=["required"])
    detail: str
    line: int | None = None
    column: int | None = None
    path: str | None = None


class ProblemRead(BaseModel):
    """What every error looks like. `code` never changes; `errors` is empty unless the input was wrong."""

    type: str = Field(examples=["/problems/validation_failed"])
    title: str = Field(examples=["Validation failed"])
    status: int = Field(examples=[422])
    detail: str
    code: str = Field(examples=["validation_failed"])
    request_id: str
    errors: list[ProblemItem]


def refusals(told: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: what every call may answer stands in the OpenAPI document by itself."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemRead"}}}
    return {status: {"description": description, "content": content} for status, description in told.items()}


QUEUE_IS_FULL = refusals({429: "The flow's queue is full: `queue_full`."})


def request_id(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def problem_response(scope: Scope, error: FlowgraftError) -> Response:
    """The answer for a domain error, whoever raised it."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="flowgraft"'
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(math.ceil(error.retry_after or RETRY_AFTER))
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    if error.code == "idempotency_in_progress":
        headers["Retry-After"] = "1"
    return problem(scope, status_of(error), error.code, error.message, _problems(error), headers)


def problem(
    scope: Scope,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[Problem] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    body = {
        "type": f"/problems/{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail[:LONGEST_DETAIL],
        "code": code,
        "request_id": request_id(scope),
        "errors": [_item(each) for each in errors[:MOST_ERRORS]],
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def internal_error(scope: Scope) -> Response:
    """Says nothing of the cause: that is in the log, under the request's id."""
    return problem(scope, 500, "internal_error", "Something went wrong on our side. Tell us the request_id.")


def pointer(parts: Iterable[str | int]) -> str:
    """A JSON pointer as a fragment: `#/labels/0`."""
    return "#" + "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def install(app: FastAPI) -> None:
    """Errors that are no FlowgraftError and nobody else knows are answered by `middleware.Edge`."""
    app.add_exception_handler(FlowgraftError, _on_domain_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_domain_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FlowgraftError)
    return problem_response(request.scope, error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(request.scope, invalid(error.errors()))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "http_error")
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return problem(request.scope, error.status_code, code, str(error.detail), headers=headers)


def invalid(errors: Iterable[Any]) -> Invalid:
    """Pydantic's errors as ours: `#/labels/0` in the body, `#/query/limit` beside it."""
    problems = [_from_pydantic(each) for each in errors]
    return Invalid(_summary(problems), problems)


def _from_pydantic(error: dict[str, Any]) -> Problem:
    location = list(error["loc"])
    if location[:1] == ["body"]:
        location = location[1:]
    kind = str(error["type"])
    return Problem(pointer(location), PYDANTIC_CODES.get(kind, kind), error["msg"].removeprefix("Value error, "))


def _summary(problems: Sequence[Problem]) -> str:
    if len(problems) == 1:
        return f"{problems[0].pointer}: {problems[0].detail}"
    return f"{len(problems)} values are not acceptable."


def _problems(error: FlowgraftError) -> Sequence[Problem]:
    problems: Sequence[Problem] = getattr(error, "problems", ())
    if not problems and isinstance(error, Invalid | MalformedBody):
        return [Problem("#", error.code, error.message)]
    return problems


def _item(problem: Problem) -> dict[str, Any]:
    item: dict[str, Any] = {"pointer": problem.pointer, "code": problem.code, "detail": problem.detail}
    where = {"line": problem.line, "column": problem.column, "path": problem.path}
    return item | {name: value for name, value in where.items() if value is not None}


def _allowed_methods(request: Request) -> list[str]:
    """Of all routes on this path; the framework names only the first one's."""
    methods: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        if context.matches(dict(request.scope))[0] is not Match.NONE:
            methods |= context.methods or set()
    return sorted(methods)
