"""The one kind of route under /v1: caller, scope, strict input, one transaction, idempotency, then the handler.

    router = v1_router("customers")

    @router.post("/customers", status_code=201)
    @requires("write")
    async def create(body: CustomerCreate, session: Session, caller: CallerDep, response: Response) -> CustomerRead: ...

A route without `@requires` does not get past its definition.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import Response

from api.auth import Scope, authenticate
from api.exchange import Exchange, serve
from api.resources import Resources
from api.strict import JSON, Body, StrictRequest, check_path, check_query, declared_query, ensure_no_fields, read_body

MARK = "rules"
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Unguarded(RuntimeError):
    """A route under /v1 that says nothing about who may call it."""


@dataclass(frozen=True)
class Rules:
    """`detached`: the handler gets no session, because it waits for something long; it opens what it needs itself.

    `accepts` are the media types of a body that the handler reads itself, with `BodyDep`; by default it takes JSON by
    its declared model, or no body.
    """

    scope: Scope
    detached: bool = False
    accepts: tuple[str, ...] = ()


def requires(scope: Scope, *, detached: bool = False, accepts: Sequence[str] = ()) -> Callable[[Endpoint], Endpoint]:
    """Declares the scope of an endpoint. It stands below `@router.get(…)`."""

    def mark(endpoint: Endpoint) -> Endpoint:
        vars(endpoint)[MARK] = Rules(scope, detached, tuple(accepts))
        return endpoint

    return mark


class GuardedRoute(APIRoute):
    dependant: Dependant

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        rules = vars(endpoint).get(MARK)
        if not isinstance(rules, Rules):
            raise Unguarded(f"{endpoint.__module__}.{endpoint.__qualname__} declares no scope: add @requires(…)")
        self.rules: Rules = rules
        super().__init__(path, endpoint, **options)
        self.query = declared_query(self.dependant)

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            return await self._guarded(request, handler)

        return guarded

    async def _guarded(self, request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
        resources: Resources = request.app.state.resources
        caller = await authenticate(resources, request.headers)
        caller.ensure(self.rules.scope)
        check_query(request, self.query)
        check_path(request)
        body = await self._body(request)
        strict = StrictRequest(request, body)
        strict.state.caller, strict.state.body, strict.state.after_commit = caller, body, []
        return await serve(Exchange(resources, caller, strict, body, handler, self.rules.detached))

    async def _body(self, request: Request) -> Body:
        """Read before any transaction begins, so that a slow sender holds no lock."""
        if request.method not in WITH_BODY:
            return Body(b"", "")
        body = await read_body(request, self.rules.accepts or (JSON,))
        if self.body_field is None and not self.rules.accepts:
            ensure_no_fields(body)
        return body


def v1_router(tag: str) -> APIRouter:
    """Operation ids are the tag and the function's name: `customers_create`; a trailing underscore is dropped."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        route_class=GuardedRoute,
        strict_content_type=False,
        generate_unique_id_function=lambda route: f"{tag}_{route.name.rstrip('_')}",
    )


def ensure_guarded(app: FastAPI) -> None:
    """Raises Unguarded for a route under /v1 that was added past `v1_router`."""
    for context in iter_route_contexts(app.routes):
        if (context.path or "").startswith("/v1") and not isinstance(context.original_route, GuardedRoute):
            raise Unguarded(f"{context.path} was not added through v1_router")
