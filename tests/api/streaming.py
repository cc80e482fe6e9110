"""A client of streams: it speaks to the application itself, because a buffering transport would wait for their end."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.types import Message

from tests.api.conftest import ADMIN_KEY

PATIENCE = 10.0  # seconds


@dataclass
class Event:
    """`comment` for lines that are for nobody."""

    name: str | None = None
    id: str | None = None
    data: Any = None
    comment: str | None = None
    retry: int | None = None


@dataclass
class Stream:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    _text: str = ""
    _received: "asyncio.Queue[str | None]" = field(default_factory=asyncio.Queue)

    async def event(self) -> Event | None:
        """The next one, comments aside; None at the end."""
        while (found := await self._next()) is not None:
            if found.comment is None:
                return found
        return None

    async def events(self, count: int) -> list[Event]:
        found = [await self.event() for _ in range(count)]
        assert None not in found, f"over after {found}"
        return [each for each in found if each is not None]

    async def rest(self) -> list[Event]:
        found = []
        while (event := await self.event()) is not None:
            found.append(event)
        return found

    async def opened(self) -> None:
        first = await self._next()
        assert first is not None
        assert first.comment == "open"

    async def _next(self) -> Event | None:
        while "\n\n" not in self._text:
            text = await asyncio.wait_for(self._received.get(), PATIENCE)
            if text is None:
                self._received.put_nowait(None)
                return None
            self._text += text
        block, _, self._text = self._text.partition("\n\n")
        return _event(block)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            return
        if message.get("body"):
            self._received.put_nowait(message["body"].decode())
        if not message.get("more_body"):
            self._received.put_nowait(None)


@asynccontextmanager
async def streamed(
    app: FastAPI, url: str, headers: Mapping[str, str] | None = None, key: str = ADMIN_KEY
) -> AsyncIterator[Stream]:
    """Hangs up at the end of the block. The application must have been started."""
    stream, left = Stream(), asyncio.Event()
    sent = asyncio.Event()

    async def receive() -> Message:
        if not sent.is_set():
            sent.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    given = {"authorization": f"Bearer {key}", **(headers or {})}
    parts = urlsplit(url)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("flowgraft.test", 80),
    }
    serving = asyncio.create_task(app(scope, receive, stream.send))
    try:
        yield stream
    finally:
        left.set()
        await asyncio.wait_for(serving, PATIENCE)


def _event(block: str) -> Event:
    event, data = Event(), []
    for text in block.split("\n"):
        name, _, value = text.partition(": ")
        match name:
            case "event":
                event.name = value
            case "id":
                event.id = value
            case "data":
                data.append(value)
            case "retry":
                event.retry = int(value)
            case "":
                event.comment = value
            case ":" | _:
                event.comment = value
    event.data = json.loads("\n".join(data)) if data else None
    return event
