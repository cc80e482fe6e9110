"""The third party that flows call: an HTTP server in the test process that does as it is told and forgets nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cli.target import served
from runtime.devserver import free_port

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True)
class Call:
    """One request that arrived. `key` is its Idempotency-Key."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str | None:
        return self.headers.get("idempotency-key")


class Spot:
    """A corner of the target that belongs to one test. A path without a script answers 200 `{"ok": true}`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[Call] = []
        self._scripts: dict[str, list[Answer]] = {}
        self._gates: dict[str, asyncio.Event] = {}

    def script(self, path: str, *answers: Answer) -> None:
        """In this order, the last one again and again."""
        self._scripts[path] = list(answers)

    def hold(self, path: str) -> None:
        """Requests are taken, and answered once `release` is called."""
        self._gates[path] = asyncio.Event()

    def release(self) -> None:
        for gate in self._gates.values():
            gate.set()

    def called(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    async def until_called(self, path: str, times: int = 1, timeout: float = 30.0) -> None:
        async with asyncio.timeout(timeout):
            while len(self.called(path)) < times:
                await asyncio.sleep(0.02)

    async def answer(self, call: Call) -> Response:
        self.calls.append(call)
        script = self._scripts.get(call.path) or [Answer()]
        answer = script.pop(0) if len(script) > 1 else script[0]
        if call.path in self._gates:
            await self._gates[call.path].wait()
        await asyncio.sleep(answer.delay)
        content = {"ok": True} if answer.body is None else answer.body
        return JSONResponse(content, answer.status, answer.headers)


class Target:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.spots: dict[str, Spot] = {}
        self._numbers = count(1)
        self.app = Starlette(routes=[Route("/{spot}{path:path}", self._receive, methods=METHODS)])

    def spot(self) -> Spot:
        name = f"spot{next(self._numbers)}"
        self.spots[name] = Spot(f"{self.url}/{name}")
        return self.spots[name]

    async def _receive(self, request: Request) -> Response:
        call = Call(
            request.method, f"/{request.path_params['path'].lstrip('/')}", dict(request.headers), await request.body()
        )
        return await self.spots[request.path_params["spot"]].answer(call)


@asynccontextmanager
async def running_target() -> AsyncIterator[Target]:
    port = free_port()
    target = Target(port)
    async with served(port, target.app):
        yield target
        for spot in target.spots.values():
            spot.release()
