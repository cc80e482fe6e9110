"""Server-sent events from here: reading them, and coming again where a stream has broken off."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cli.client import Api, Cut, Json, Query

AGAIN_AFTER = 1.0  # seconds
LONGEST_SILENCE = 45.0  # seconds; the server says every fifteen that it is there


@dataclass(frozen=True)
class ServerEvent:
    name: str
    data: Json
    id: str | None


def followed(api: Api, path: str, query: Query, last_id: str | None, timeout: float | None) -> Iterator[ServerEvent]:
    """Until the time is over, or the server says `end`. Where it breaks off, it goes on after the last event."""
    deadline = float("inf") if timeout is None else time.monotonic() + timeout
    opened = False

    def noticed(lines: Iterable[str]) -> Iterator[str]:
        nonlocal opened
        for line in lines:
            opened = True
            yield line

    while (left := deadline - time.monotonic()) > 0:
        try:
            for event in events(noticed(api.lines(path, query, last_id, min(LONGEST_SILENCE, left)))):
                yield event
                last_id = event.id or last_id
                if event.name == "end" or time.monotonic() >= deadline:
                    return
        except Cut:
            if not opened:
                raise
        time.sleep(max(0.0, min(AGAIN_AFTER, deadline - time.monotonic())))


def events(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """Comments and what has no data are for nobody."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
            continue
        if "data" in fields:
            yield ServerEvent(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))
        fields = {}
