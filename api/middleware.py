"""The outermost layer, plain ASGI: request ids, headers on every answer, and the answer when nothing else has one."""

import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import observe
from api.problems import internal_error
from runtime.ids import new_id

LONGEST_REQUEST_ID = 128

log = structlog.get_logger(__name__)


class Edge:
    """Logs the route's pattern, never its path: a webhook's path is a secret."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        structlog.contextvars.clear_contextvars()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._serve(scope, receive, answer)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        started = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("request_crashed", method=scope["method"], route=_route(scope))
            if answer.status:
                raise
            await internal_error(scope)(scope, receive, answer.send)
        seconds = time.perf_counter() - started
        observe(scope["method"], _route(scope), answer.status, seconds)
        log.info(
            "request", method=scope["method"], route=_route(scope), status=answer.status, seconds=round(seconds, 4)
        )


class _Answer:
    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0  # until the answer has begun

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def _request_id(wanted: str, make: Callable[[str], str] = new_id) -> str:
    acceptable = 0 < len(wanted) <= LONGEST_REQUEST_ID and wanted.isascii() and wanted.isprintable()
    return wanted if acceptable else make("req")


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "none"))
