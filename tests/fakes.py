"""Fakes for the seams: scripted HTTP, state in memory, and the context of an action."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from components.base import ActionContext, Scope
from components.catalogue import builtin_registry
from domain.http import IncomingResponse, OutgoingRequest
from domain.logs import Severity

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
REGISTRY = builtin_registry()

Script = IncomingResponse | Exception | Callable[[OutgoingRequest], IncomingResponse]


def response(status: int = 200, body: bytes | str = b"", **headers: str) -> IncomingResponse:
    """`content_type="text/plain"` becomes the header Content-Type."""
    data = body.encode() if isinstance(body, str) else body
    named = [(name.replace("_", "-").title(), value) for name, value in headers.items()]
    return IncomingResponse(status=status, headers=named, body=data, url="https://api.example.com/")


class ScriptedHttp:
    """Answers in the order scripted, the last one again and again; keeps what was sent."""

    def __init__(self, *script: Script) -> None:
        self.script = list(script) or [response()]
        self.sent: list[OutgoingRequest] = []

    async def send(self, request: OutgoingRequest) -> IncomingResponse:
        self.sent.append(request)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, IncomingResponse) else answer(request)


@dataclass
class MemoryState:
    """What is kept is a copy, as in the store."""

    values: dict[tuple[Scope, str], Any] = field(default_factory=dict)

    async def get(self, scope: Scope, key: str) -> Any:
        return deepcopy(self.values.get((scope, key)))

    async def put(self, scope: Scope, key: str, value: Any) -> None:
        self.values[scope, key] = deepcopy(value)

    async def delete(self, scope: Scope, key: str) -> bool:
        return self.values.pop((scope, key), None) is not None


class Lines(list[tuple[Severity, str]]):
    def __call__(self, level: Severity, message: str) -> None:
        self.append((level, message))


def context(**overrides: Any) -> ActionContext:
    usual: dict[str, Any] = {
        "execution_id": "exec_1",
        "path": "lines[2].ship",
        "attempt": 1,
        "idempotency_key": "exec_1:lines[2].ship",
        "now": NOW,
        "timeout": 900.0,
        "log": Lines(),
        "http": ScriptedHttp(),
        "state": MemoryState(),
    }
    return ActionContext(**usual | overrides)


async def run_action(key: str, inputs: dict[str, Any], **overrides: Any) -> Any:
    """Validates the inputs and runs a built-in action, as a step does."""
    action = REGISTRY.get(key)
    assert action is not None, key
    return await action.run(context(**overrides), action.inputs.model_validate(inputs))
