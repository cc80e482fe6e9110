"""Streams as server-sent events: first what a client has missed, then what comes, until the stream is over."""

from collections.abc import AsyncIterator

from fastapi.sse import ServerSentEvent

from api.live.changes import Change, ChangeFilter
from api.live.executions import Sight, sight
from api.live.feed import Listener
from api.live.schemas import ExecutionUpdate, StepUpdate, microseconds, moment, update_of
from api.live.streams import TooLongAgo, changes_since, lines_after
from api.logs.schemas import LogRead
from domain.errors import NotFound, Unavailable
from domain.executions import TERMINAL
from store.engine import Database
from store.live import ExecutionState, Live, StepState
from store.logs import LogFilter, LogLine

RETRY = 2_000  # milliseconds until a client that was cut off comes again
OPENED = ServerSentEvent(comment="open", retry=RETRY)
OVER = "over"

Events = AsyncIterator[ServerSentEvent]


async def ensure_execution(database: Database, execution_id: str) -> bool:
    """Whether it has ended. Raises NotFound."""
    async with database.snapshot() as session:
        states = await Live(session).executions([execution_id])
    if not states:
        raise NotFound("There is no such execution")
    return states[0].status in TERMINAL


async def of_execution(database: Database, listener: Listener[str, Sight]) -> Events:
    yield OPENED
    told = _Told()
    try:
        for event in told.news(await sight(database, listener.want)):
            yield event
    except Unavailable:
        return
    if told.over:
        return
    async for sights in listener.news():
        for event in told.news(sights[-1]):
            yield event
        if told.over:
            return


class _Told:
    """What a client knows of an execution."""

    def __init__(self) -> None:
        self.over = False
        self._state: ExecutionState | None = None
        self._steps: dict[tuple[int, str], StepState] = {}

    def news(self, sight: Sight) -> list[ServerSentEvent]:
        """Steps before the status that follows from them."""
        events = [step for state in sight.steps if (step := self._step(state))]
        if sight.state is not None and sight.state != self._state:
            self._state = sight.state
            events.append(ServerSentEvent(event="execution", data=ExecutionUpdate.of(sight.state)))
        self.over = sight.state is None or sight.state.status in TERMINAL
        if self.over:
            events.append(ServerSentEvent(event="end", data={}, id=OVER))
        return events

    def _step(self, state: StepState) -> ServerSentEvent | None:
        key = (state.attempt, state.path)
        if self._steps.get(key) == state:
            return None
        self._steps[key] = state
        return ServerSentEvent(event="step", data=StepUpdate.of(state))


async def of_changes(database: Database, listener: Listener[ChangeFilter, Change], last_event_id: str | None) -> Events:
    yield OPENED
    told: set[tuple[str, str]] = set()
    try:
        if last_event_id is not None:
            async for change in changes_since(database, listener.want, moment(last_event_id)):
                told.add(_key(change))
                yield _change(change)
    except TooLongAgo:
        yield ServerSentEvent(event="reset", data={})
    except Unavailable:
        return
    async for news in listener.news():
        for change in news:
            if _key(change) not in told:
                yield _change(change)


async def of_lines(database: Database, listener: Listener[LogFilter, LogLine], after_id: str | None) -> Events:
    yield OPENED
    told: set[str] = set()
    try:
        if after_id is not None:
            async for line in lines_after(database, listener.want, after_id):
                told.add(line.id)
                yield _line(line)
    except Unavailable:
        return
    async for news in listener.news():
        for line in news:
            if line.id not in told:
                yield _line(line)


def _change(change: Change) -> ServerSentEvent:
    return ServerSentEvent(event=change.kind, data=update_of(change), id=microseconds(change.at))


def _key(change: Change) -> tuple[str, str]:
    return change.what.id, microseconds(change.at)


def _line(line: LogLine) -> ServerSentEvent:
    return ServerSentEvent(event="log", data=LogRead.of(line), id=line.id)
