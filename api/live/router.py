"""`/v1/events`, `/v1/executions/{id}/events`, `/v1/logs/stream`."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.deps import ResourcesDep
from api.live import telling
from api.live.changes import Change, ChangeFilter
from api.live.executions import Sight
from api.live.feed import Listener
from api.live.schemas import ChangeQuery
from api.live.streams import Streams
from api.logs.schemas import LogFilters
from api.logs.service import ensure_log_id
from api.routing import requires, v1_router
from store.logs import LogFilter, LogLine

router = v1_router("live")

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=100, description="Where it broke off")]


async def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


StreamsDep = Annotated[Streams, Depends(_streams)]


async def _execution(
    execution_id: str, streams: StreamsDep, response: Response, last_event_id: LastEventId = None
) -> AsyncIterator[Listener[str, Sight] | None]:
    """None: it has been told to its end already, and the client is to come no more."""
    over = await telling.ensure_execution(streams.database, execution_id)
    if over and last_event_id == telling.OVER:
        response.status_code = 204
        yield None
        return
    async with streams.listening(streams.executions, execution_id) as listener:
        yield listener


async def _changes(
    query: Annotated[ChangeQuery, Query()], streams: StreamsDep
) -> AsyncIterator[Listener[ChangeFilter, Change]]:
    async with streams.listening(streams.changes, query.wanted()) as listener:
        yield listener


async def _last_line(
    after_id: Annotated[str | None, Query(max_length=100, description="As Last-Event-ID")] = None,
    last_event_id: LastEventId = None,
) -> str | None:
    last = last_event_id or after_id
    if last is not None:
        ensure_log_id(last, "#/header/Last-Event-ID" if last_event_id else "#/query/after_id")
    return last


async def _lines(
    query: Annotated[LogFilters, Query()], streams: StreamsDep, last: Annotated[str | None, Depends(_last_line)]
) -> AsyncIterator[tuple[Listener[LogFilter, LogLine], str | None]]:
    async with streams.listening(streams.lines, query.wanted()) as listener:
        yield listener, last


@router.get("/executions/{execution_id}/events", response_class=EventSourceResponse)
@requires("read", detached=True)
async def execution(
    resources: ResourcesDep, listener: Annotated[Listener[str, Sight] | None, Depends(_execution)]
) -> AsyncIterator[ServerSentEvent]:
    """Follow an execution until it ends: events `execution` and `step`, then `end`.

    It begins with all there is, also after an interruption.
    """
    if listener is not None:
        async for event in telling.of_execution(resources.database, listener):
            yield event


@router.get("/events", response_class=EventSourceResponse)
@requires("read", detached=True)
async def changes(
    resources: ResourcesDep,
    listener: Annotated[Listener[ChangeFilter, Change], Depends(_changes)],
    last_event_id: LastEventId = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow executions and instances: events such as `execution.failed` and `instance.deployed`.

    With `Last-Event-ID` it goes on from there. `reset`: that was too long ago, read the lists again.
    """
    async for event in telling.of_changes(resources.database, listener, last_event_id):
        yield event


@router.get("/logs/stream", response_class=EventSourceResponse)
@requires("read", detached=True)
async def logs(
    resources: ResourcesDep,
    opened: Annotated[tuple[Listener[LogFilter, LogLine], str | None], Depends(_lines)],
) -> AsyncIterator[ServerSentEvent]:
    """Follow log lines as they come: events `log`.

    With `Last-Event-ID` it goes on from there; lines of the last seconds before it come once more.
    """
    listener, last = opened
    async for event in telling.of_lines(resources.database, listener, last):
        yield event
