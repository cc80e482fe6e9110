"""Live updates: what is told, to whom, from where on, and how it ends. The clock is the real one."""

import asyncio
import os
import signal
from collections.abc import Collection
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.live.closing import when_told_to_stop
from api.live.executions import Sight
from api.live.feed import MOST_UNREAD, Feed
from api.live.recent import LATE
from api.live.schemas import microseconds
from api.live.streams import FARTHEST_BACK, PAGE, Streams
from domain.errors import Unavailable
from domain.executions import Status
from domain.ids import first_id
from domain.messages import Failure
from runtime.clock import utcnow
from runtime.ids import new_id
from store.engine import Database
from store.logs import Logs
from store.tables import ExecutionRow, StepRow
from tests.api.streaming import Event, streamed
from tests.factories import Deployed, deployed, event, execution, saved

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture
async def made(sqlite_database: Database) -> Deployed:
    async with sqlite_database.transaction() as session:
        return await deployed(session)


@pytest.fixture
def streams(app: FastAPI, client: httpx2.AsyncClient) -> Streams:
    found: Streams = app.state.streams
    return found


def names(events: list[Event]) -> list[str | None]:
    return [each.name for each in events]


# One execution


def running(made: Deployed, **given: Any) -> ExecutionRow:
    now = utcnow()
    usual = {"status": Status.RUNNING, "attempt": 1, "queued_at": now, "started_at": now, "updated_at": now}
    return execution(made.instance, made.flow, **usual | given)


def step(of: ExecutionRow, path: str, status: str = "succeeded", **given: Any) -> StepRow:
    now = utcnow()
    usual = {"execution_id": of.id, "attempt": 1, "path": path, "key": path, "name": path, "component": "http"}
    usual |= {"action": "get", "position": 1, "iteration": [], "status": status, "tries": 1, "started_at": now}
    return StepRow(**usual | {"ended_at": now, "inputs": b"x", "output": b"y", "output_size": 1} | given)


async def change(database: Database, row: ExecutionRow, **values: Any) -> None:
    async with database.transaction() as session:
        found = await session.get_one(ExecutionRow, row.id)
        for name, value in {"updated_at": utcnow(), **values}.items():
            setattr(found, name, value)


async def test_execution_is_followed_to_its_end(app: FastAPI, sqlite_database: Database, made: Deployed) -> None:
    row = running(made)
    await saved(sqlite_database, row, step(row, "order"))
    async with streamed(app, f"/v1/executions/{row.id}/events") as stream:
        await stream.opened()
        first, state = await stream.events(2)
        assert (first.name, first.data["path"], first.data["status"]) == ("step", "order", "succeeded")
        assert {"inputs", "output"} & set(first.data) == set()
        assert (state.name, state.data["status"], state.data["flow_id"]) == ("execution", "running", made.flow.id)

        await saved(sqlite_database, step(row, "ship", "running", ended_at=None))
        [trying] = await stream.events(1)
        assert (trying.data["path"], trying.data["status"], trying.data["tries"]) == ("ship", "running", 1)
        async with sqlite_database.transaction() as session:
            ship = await session.get_one(StepRow, (row.id, 1, "ship"))
            ship.status, ship.tries, ship.ended_at = "succeeded", 2, utcnow()
        [done] = await stream.events(1)
        assert (done.data["path"], done.data["status"], done.data["tries"]) == ("ship", "succeeded", 2)

        await change(sqlite_database, row, status=Status.SUCCEEDED, ended_at=utcnow())
        last, end = await stream.rest()
        assert (last.name, last.data["status"]) == ("execution", "succeeded")
        assert (end.name, end.id) == ("end", "over")
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-cache"


async def test_execution_that_has_ended_is_told_and_over(
    app: FastAPI, sqlite_database: Database, made: Deployed
) -> None:
    error = {"code": "http_status", "message": "500", "step": "order"}
    row = running(made, status=Status.FAILED, ended_at=utcnow(), error=error)
    await saved(sqlite_database, row, step(row, "order", "failed", error=vars(Failure("http_status", "500"))))
    path = f"/v1/executions/{row.id}/events"
    async with streamed(app, path) as stream:
        events = await stream.rest()
    assert names(events) == ["step", "execution", "end"]
    assert events[1].data["error"]["message"] == "500"
    async with streamed(app, path, {"Last-Event-ID": "over"}) as stream:
        assert await stream.rest() == []
    assert stream.status == 204


async def test_execution_that_is_deleted_is_over(app: FastAPI, sqlite_database: Database, made: Deployed) -> None:
    row = running(made)
    await saved(sqlite_database, row)
    async with streamed(app, f"/v1/executions/{row.id}/events") as stream:
        await stream.events(1)
        async with sqlite_database.transaction() as session:
            await session.delete(await session.get_one(ExecutionRow, row.id))
        assert names(await stream.rest()) == ["end"]


async def test_execution_that_is_not_there(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/executions/exec_none/events")).status_code == 404


# Changes


async def test_changes_of_executions_and_instances(app: FastAPI, sqlite_database: Database, made: Deployed) -> None:
    earlier = running(made)
    await saved(sqlite_database, earlier)
    async with streamed(app, "/v1/events") as stream:
        await stream.opened()
        row = running(made, status=Status.QUEUED, attempt=0, started_at=None)
        await saved(sqlite_database, row)
        [queued] = await stream.events(1)
        assert (queued.name, queued.data["id"], queued.data["attempt"]) == ("execution.queued", row.id, 0)
        deploy = event(made.instance, "instance.deployed", id=new_id("evt"), at=utcnow(), details={"version": 1})
        await saved(sqlite_database, deploy)
        await change(sqlite_database, earlier, status=Status.FAILED, ended_at=utcnow())
        deployed_, failed = await stream.events(2)
        assert (deployed_.name, deployed_.data["details"]) == ("instance.deployed", {"version": 1})
        assert (failed.name, failed.data["id"]) == ("execution.failed", earlier.id)
        assert queued.id is not None
        assert deployed_.id is not None
        assert int(queued.id) < int(deployed_.id)


async def test_change_that_is_committed_late_is_told(app: FastAPI, sqlite_database: Database, made: Deployed) -> None:
    async with streamed(app, "/v1/events") as stream:
        await stream.opened()
        await saved(sqlite_database, running(made))
        await stream.events(1)
        late = running(made, updated_at=utcnow() - LATE / 2)
        await saved(sqlite_database, late)
        [told] = await stream.events(1)
        assert told.data["id"] == late.id


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("kind=execution.failed", ["execution.failed"]),
        ("kind=execution", ["execution.running", "execution.failed"]),
        ("kind=instance&kind=execution.failed", ["instance.paused", "execution.failed"]),
        ("instance_id=INSTANCE&kind=instance", ["instance.paused"]),
        ("instance_id=INSTANCE&instance_id=other", ["execution.running", "instance.paused", "execution.failed"]),
        ("customer_id=CUSTOMER&kind=execution.running", ["execution.running"]),
    ],
)
async def test_changes_are_filtered(
    app: FastAPI, sqlite_database: Database, made: Deployed, query: str, told: list[str]
) -> None:
    """Where instances are told apart, another one's changes come first."""
    async with sqlite_database.transaction() as session:
        foreign = await deployed(session)
    path = f"/v1/events?{query}".replace("INSTANCE", made.instance.id).replace("CUSTOMER", made.customer.id)
    async with streamed(app, path) as stream:
        await stream.opened()
        if "_id=" in query:
            await saved(sqlite_database, running(foreign), running(foreign, status=Status.FAILED, ended_at=utcnow()))
        await saved(sqlite_database, running(made))
        await saved(sqlite_database, event(made.instance, "instance.paused", id=new_id("evt"), at=utcnow()))
        await saved(sqlite_database, running(made, status=Status.FAILED, ended_at=utcnow()))
        events = await stream.events(len(told))
    assert names(events) == told
    assert {each.data["instance_id"] for each in events} == {made.instance.id}


async def test_changes_go_on_where_they_broke_off(app: FastAPI, sqlite_database: Database, made: Deployed) -> None:
    """What came in the last seconds before comes once more: it may have been overtaken."""
    now = utcnow()
    ages = (LATE * 3, LATE / 2, timedelta(0))
    rows = [running(made, updated_at=now - LATE - age) for age in ages]
    await saved(sqlite_database, *rows, event(made.instance, "instance.paused", id=new_id("evt"), at=now))
    async with streamed(app, "/v1/events", {"Last-Event-ID": microseconds(now - LATE)}) as stream:
        missed = await stream.events(3)
        assert {each.data["id"] for each in missed} >= {rows[1].id, rows[2].id}
        assert {each.name for each in missed} == {"instance.paused", "execution.running"}
        await saved(sqlite_database, running(made, status=Status.FAILED, ended_at=utcnow()))
        [live] = await stream.events(1)
        assert live.name == "execution.failed"


@pytest.mark.parametrize("last", ["", "yesterday", "9" * 40])
async def test_client_that_was_away_for_long_reads_the_lists_again(app: FastAPI, made: Deployed, last: str) -> None:
    last = last or microseconds(utcnow() - 2 * FARTHEST_BACK)
    async with streamed(app, "/v1/events", {"Last-Event-ID": last}) as stream:
        assert names(await stream.events(1)) == ["reset"]


# Log lines


def line(number: int, at: Any = None, **of: Any) -> dict[str, Any]:
    now = at or utcnow()
    log_id = new_id("log") if at is None else first_id("log", at)[:-2] + f"{number:02}"
    start = {"id": log_id, "timestamp": now, "severity": 2, "message": f"Line {number}", "type": "execution"}
    return start | {"execution_id": None, "instance_id": None, "customer_id": None, "step": None} | of


async def write(database: Database, *lines: dict[str, Any]) -> None:
    async with database.transaction() as session:
        await Logs(session).add_many(lines)


async def test_lines_are_followed(app: FastAPI, sqlite_database: Database) -> None:
    await write(sqlite_database, line(0))
    async with streamed(app, "/v1/logs/stream") as stream:
        await stream.opened()
        await write(sqlite_database, line(1), line(2))
        first, second = await stream.events(2)
        assert (first.name, first.data["message"], first.id) == ("log", "Line 1", first.data["id"])
        assert second.data["message"] == "Line 2"
        await write(sqlite_database, line(3, utcnow() - LATE / 2))
        [late] = await stream.events(1)
        assert late.data["message"] == "Line 3"


@pytest.mark.parametrize(
    ("query", "of"),
    [
        ("q=WANTED", {"message": "Wanted!"}),
        ("severity=warn&severity=fatal", {"severity": 3}),
        ("min_severity=error", {"severity": 5}),
        ("type=connection", {"type": "connection"}),
        ("step=a.b", {"step": "a.b"}),
        ("instance_id=inst_x", {"instance_id": "inst_x"}),
        ("customer_id=cust_x", {"customer_id": "cust_x"}),
        ("execution_id=exec_x", {"execution_id": "exec_x"}),
    ],
)
async def test_lines_are_filtered(app: FastAPI, sqlite_database: Database, query: str, of: dict[str, Any]) -> None:
    async with streamed(app, f"/v1/logs/stream?{query}&is_test=false") as stream:
        await stream.opened()
        await write(sqlite_database, line(1), line(2, **of))
        [found] = await stream.events(1)
        assert found.data["id"].startswith("log_")
        assert found.data["message"] in ("Line 2", "Wanted!")


async def test_lines_of_tests_are_told_apart(app: FastAPI, sqlite_database: Database, made: Deployed) -> None:
    tried, real = running(made, is_test=True), running(made)
    await saved(sqlite_database, tried, real)
    async with streamed(app, "/v1/logs/stream?is_test=true") as stream:
        await stream.opened()
        await write(sqlite_database, line(1, execution_id=real.id), line(2, execution_id=tried.id))
        [found] = await stream.events(1)
        assert (found.data["message"], found.data["is_test"]) == ("Line 2", True)


@pytest.mark.parametrize("by_header", [True, False])
async def test_lines_go_on_where_they_broke_off(app: FastAPI, sqlite_database: Database, by_header: bool) -> None:
    """Over more than a page, and without a gap to what comes then."""
    ago = utcnow() - timedelta(minutes=5)
    await write(sqlite_database, line(1, ago - 2 * LATE), line(2, ago - LATE / 2), line(3, ago), line(4, ago))
    many = [line(number, ago + timedelta(seconds=1), id=new_id("log")) for number in range(PAGE + 10)]
    await write(sqlite_database, *many)
    last = line(3, ago)["id"]
    path = "/v1/logs/stream" if by_header else f"/v1/logs/stream?after_id={last}"
    async with streamed(app, path, {"Last-Event-ID": last} if by_header else {}) as stream:
        missed = await stream.events(2 + len(many))
        assert [each.data["message"] for each in missed[:2]] == ["Line 2", "Line 4"]
        await write(sqlite_database, line(9_999))
        [live] = await stream.events(1)
        assert live.data["message"] == "Line 9999"


async def test_line_that_nothing_can_come_after(client: httpx2.AsyncClient) -> None:
    by_query = await client.get("/v1/logs/stream?after_id=the-last-one")
    by_header = await client.get("/v1/logs/stream", headers={"Last-Event-ID": "the-last-one"})
    found = [(each.status_code, each.json()["errors"][0]["pointer"]) for each in (by_query, by_header)]
    assert found == [(422, "#/query/after_id"), (422, "#/header/Last-Event-ID")]


# Places, pollers, ends


async def test_whoever_does_not_read_is_let_go(streams: Streams) -> None:
    """It comes again where it was, and then it gets page after page."""
    async with streams.listening(streams.executions, "exec_1") as listener:
        listener.tell([Sight("exec_1", None, [])] * (MOST_UNREAD + 1))
        assert [news async for news in listener.news()] == []


async def test_streams_are_limited(app: FastAPI, streams: Streams, client: httpx2.AsyncClient) -> None:
    streams.most = 1
    async with streamed(app, "/v1/events") as stream:
        await stream.opened()
        refused = await client.get("/v1/logs/stream")
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
        assert refused.headers["retry-after"] == "5"
    async with streamed(app, "/v1/logs/stream") as stream:
        await stream.opened()


async def test_scope_is_asked_for(app: FastAPI, client: httpx2.AsyncClient) -> None:
    for path in ("/v1/events", "/v1/logs/stream", "/v1/executions/exec_1/events"):
        assert (await client.get(path, headers={"Authorization": "Bearer nobody"})).status_code == 401


async def test_poller_rests_while_nobody_listens(app: FastAPI, streams: Streams) -> None:
    assert streams.lines.polls is False
    async with streamed(app, "/v1/logs/stream") as one, streamed(app, "/v1/logs/stream") as other:
        await one.opened()
        await other.opened()
        assert streams.lines.polls is True
        assert streams.changes.polls is False
    assert streams.lines.polls is False


async def test_streams_end_when_the_process_is_told_to(
    app: FastAPI, streams: Streams, made: Deployed, sqlite_database: Database, client: httpx2.AsyncClient
) -> None:
    row = running(made)
    await saved(sqlite_database, row)
    async with (
        streamed(app, "/v1/events") as changes,
        streamed(app, "/v1/logs/stream") as lines,
        streamed(app, f"/v1/executions/{row.id}/events") as one,
    ):
        for stream in (changes, lines, one):
            await stream.opened()
        streams.end()
        assert [names(await stream.rest()) for stream in (changes, lines, one)] == [[], [], ["execution"]]
        assert (await client.get("/v1/events")).status_code == 503


async def test_signal_is_heard_and_handed_on() -> None:
    heard: list[str] = []
    original = signal.signal(signal.SIGTERM, lambda *_: heard.append("server"))
    try:
        with when_told_to_stop(lambda: heard.append("streams")):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
    finally:
        signal.signal(signal.SIGTERM, original)
    assert sorted(heard) == ["server", "server", "streams"]


class Flaky:
    """A source whose database is away at the first look, and whose second look meets a bug."""

    def __init__(self) -> None:
        self.looks = 0

    async def begin(self) -> None: ...

    async def look(self, wants: Collection[str]) -> list[str]:
        self.looks += 1
        if self.looks < 3:
            raise Unavailable("Away") if self.looks == 1 else LookupError("a bug")
        return [f"look {self.looks}"]


async def test_look_that_fails_is_made_up_for_by_the_next() -> None:
    feed: Feed[str, str] = Feed(Flaky(), lambda want, item: want in item)
    async with feed.joined("look") as listener:
        async for news in listener.news():
            assert news == ["look 3"]
            break
