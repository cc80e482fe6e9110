"""The OpenAPI document: FastAPI's, plus the key it needs and the problems every call can answer."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problems import ProblemRead, refusals

HTTP_METHODS = frozenset({"get", "post", "put", "patch", "delete"})
WITH_BODY = frozenset({"post", "put", "patch"})
FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")

DESCRIPTION = "Integrations, their instances per customer, and every execution."
ALWAYS = {401: "No key, or a wrong one.", 403: "The key lacks the scope.", 422: "The input is wrong: see `errors`."}
BODIES = {400: "No acceptable JSON.", 413: "The body is too large.", 415: "A content type or encoding we do not take."}
AWAY = {503: "Try later: see `Retry-After`."}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the first answer again, for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


def install(app: FastAPI) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def build(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in FRAMEWORKS_OWN:
        schemas.pop(name, None)
    problem = ProblemRead.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"ProblemRead": problem}
    components["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer"}}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method in HTTP_METHODS:
                _complete(path, method, operation)
    return schema


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    if not path.startswith("/v1"):
        operation["responses"].pop("422", None)
        return
    operation["security"] = [{"apiKey": []}]
    if method == "post":
        operation.setdefault("parameters", []).append(IDEMPOTENCY_KEY)
    operation["responses"].pop("422", None)  # the framework's own
    for status, answer in refusals(_problems(path, method)).items():
        operation["responses"].setdefault(str(status), answer)


def _problems(path: str, method: str) -> dict[int, str]:
    found = ALWAYS | AWAY | {400: "A cursor of another list."}
    if method in WITH_BODY:
        found |= BODIES
    if "{" in path:
        found |= {404: "There is no such thing, or it is not yours.", 409: "Its encryption key is gone."}
    if method != "get":
        found |= {409: "The state does not allow it.", 412: "`If-Match` is stale."}
    return found
