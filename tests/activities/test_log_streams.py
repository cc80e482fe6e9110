from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.testing import ActivityEnvironment

from activities.log_streams import LONGEST_WAIT, LogStreamActivities
from activities.vault import Vault
from domain.errors import StepFailed
from domain.http import IncomingResponse, OutgoingRequest
from domain.ids import made_at
from domain.log_streams import STANDARD, TRIES_ALONE
from domain.messages import LogStreamInput, LogStreamLook
from runtime.clock import utcnow
from runtime.crypto import data_key_id
from store.engine import Database
from store.log_streams import LogStreams
from store.logs import SETTLING, Logs
from store.removal import Removal
from store.tables import DataKeyRow
from tests.activities.streaming import line, streaming, write
from tests.factories import Deployed, deployed, execution, save
from tests.fakes import response
from tests.fixtures.temporal import KEYRING


async def test_lines_are_sent_oldest_first_in_batches(database: Database) -> None:
    stream = await streaming(database)
    await write(database, *(line(number) for number in range(5)))
    assert await stream.look() == LogStreamLook()
    assert await stream.look() == LogStreamLook()
    assert stream.bodies == [["Line 0", "Line 1", "Line 2"], ["Line 3", "Line 4"]]
    request = stream.http.sent[0]
    assert (request.method, request.url) == ("POST", "https://logs.example.com/in")
    assert request.headers == [("Content-Type", "application/json"), ("X-Api-Key", "key-of-the-target")]
    assert request.secret_headers == {"x-api-key"}
    assert not request.follow_redirects
    row = await stream.now()
    assert (row.delivered, row.failures, row.error) == (5, 0, None)
    assert row.delivered_at is not None


async def test_nothing_to_send_moves_on_without_a_request(database: Database) -> None:
    stream = await streaming(database, severities=["error"])
    await write(database, line(0))
    assert await stream.look() == LogStreamLook()
    assert stream.http.sent == []
    row = await stream.now()
    assert utcnow() - made_at(row.cursor) < SETTLING + timedelta(seconds=3)
    assert row.check_after is not None
    assert row.check_after > utcnow()


async def test_young_lines_wait_until_none_can_come_before_them(database: Database) -> None:
    stream = await streaming(database)
    await write(database, line(0, utcnow() - SETTLING / 2))
    await stream.look()
    assert stream.http.sent == []


async def mine(database: Database) -> Deployed:
    async with database.transaction() as session:
        made = await deployed(session)
        tried = execution(made.instance, made.flow, is_test=True)
        await save(session, tried)
        owners: dict[str, Any] = {
            "customer_id": made.customer.id,
            "instance_id": made.instance.id,
            "instance_flow_id": made.flow.id,
        }
        ours = line(0, execution_id=tried.id, **owners, step="a[0].b", attempt=2)
        await Logs(session).add_many([ours, line(1, customer_id=made.customer.id) | {"attempt": None}])
        await Logs(session).add_many([line(2, severity=4, type="connection"), line(3, severity=3)])
    return made


@pytest.mark.parametrize(
    ("of", "sent"),
    [
        ({}, ["Line 0", "Line 1", "Line 2", "Line 3"]),
        ({"severities": ["warn", "error"]}, ["Line 2", "Line 3"]),
        ({"types": ["connection", "management"]}, ["Line 2"]),
        ({"customer_id": "CUSTOMER"}, ["Line 0", "Line 1"]),
        ({"customer_id": "CUSTOMER", "instance_id": "INSTANCE"}, ["Line 0"]),
    ],
)
async def test_stream_sends_what_it_is_for(database: Database, of: dict[str, Any], sent: list[str]) -> None:
    made = await mine(database)
    known = {"CUSTOMER": made.customer.id, "INSTANCE": made.instance.id}
    given = {name: known.get(str(value), value) for name, value in of.items()}
    stream = await streaming(database, batch_size=10, **given)
    await stream.look()
    assert stream.bodies == [sent]


async def test_line_with_the_names_of_what_it_is_about(database: Database) -> None:
    made = await mine(database)
    stream = await streaming(database, instance_id=made.instance.id, customer_id=made.customer.id, template=STANDARD)
    await stream.look()
    [[sent]] = stream.bodies
    assert (sent["instance_name"], sent["customer_name"]) == (made.instance.name, made.customer.name)
    assert (sent["integration_name"], sent["flow_name"]) == (made.integration.name, made.flow.name)
    assert (sent["is_test"], sent["step"], sent["attempt"]) == ("true", "a[0].b", "2")
    assert (sent["customer_external_id"], sent["severity"], sent["message"]) == ("", "info", "Line 0")


@pytest.mark.parametrize(
    ("failure", "code", "seconds"),
    [
        (response(500, "no"), "http_500", 1.0),
        (response(403, "key-of-the-target is wrong"), "http_403", 1.0),
        (response(429, retry_after="30"), "http_429", 30.0),
        (response(503, retry_after="99999"), "http_503", LONGEST_WAIT.total_seconds()),
        (response(302, location="https://elsewhere.example.com"), "http_302", 1.0),
        (StepFailed("no answer within 15 s", code="timeout", transient=True), "timeout", 1.0),
        (StepFailed("private", code="egress_denied", permanent=True), "egress_denied", 1.0),
    ],
)
async def test_what_fails_is_sent_again(database: Database, failure: Any, code: str, seconds: float) -> None:
    stream = await streaming(database, failure, response(202))
    await write(database, line(0), line(1))
    assert await stream.look() == LogStreamLook(again_in_seconds=seconds)
    row = await stream.now()
    assert (row.failures, row.delivered) == (1, 0)
    assert row.error is not None
    assert row.error["code"] == code
    assert "key-of-the-target" not in str(row.error)
    assert row.failing_since is not None
    assert await stream.look() == LogStreamLook()
    row = await stream.now()
    assert (row.failures, row.failing_since, row.delivered) == (0, None, 2)
    assert stream.bodies == [["Line 0", "Line 1"]] * 2


async def test_pauses_grow(database: Database) -> None:
    stream = await streaming(database, response(500))
    await write(database, line(0))
    assert [(await stream.look()).again_in_seconds for _ in range(4)] == [1.0, 2.0, 4.0, 8.0]
    first = (await stream.now()).failing_since
    await stream.look()
    assert (await stream.now()).failing_since == first


def refuses(wrong: str, status: int = 400) -> Callable[[OutgoingRequest], IncomingResponse]:
    return lambda request: response(status if wrong in request.body.decode() else 202, f"{wrong} is no good")


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_batch_that_is_refused_is_halved(database: Database, status: int) -> None:
    """A target that takes two lines at most, or that does not like one of them, gets the others all the same."""
    stream = await streaming(database, refuses("Line 2", status), batch_size=4)
    await write(database, *(line(number) for number in range(4)))
    for _ in range(3):
        await stream.look()
    assert stream.bodies == [["Line 0", "Line 1", "Line 2", "Line 3"]] * 3
    whole = LogStreamActivities(database, Vault(KEYRING), stream.http, look_seconds=0.5)
    look = await ActivityEnvironment().run(whole.send_log_lines, LogStreamInput(stream.row.id))
    assert look == LogStreamLook(again_in_seconds=1.0)
    assert stream.bodies[4:] == [["Line 0", "Line 1"], ["Line 2", "Line 3"], ["Line 2"]]
    assert (await stream.now()).delivered == 2


async def test_line_that_is_refused_by_itself_is_left_out_in_the_end(database: Database) -> None:
    stream = await streaming(database, refuses("Line 0"), batch_size=1)
    await write(database, line(0), line(1))
    for _ in range(TRIES_ALONE - 1):
        assert (await stream.look()).again_in_seconds > 0
    assert await stream.look() == LogStreamLook()
    row = await stream.now()
    assert (row.refused, row.delivered, row.failures) == (1, 0, 0)
    await stream.look()
    row = await stream.now()
    assert (row.refused, row.delivered, row.failing_since) == (1, 1, None)
    assert row.error is not None
    assert row.error["message"] == "The target answered 400: Line 0 is no good"


async def test_what_was_sent_and_not_recorded_is_sent_again(database: Database) -> None:
    """A worker that is killed between the two loses nothing: at least once."""
    stream = await streaming(database)
    await write(database, line(0), line(1))
    before = (await stream.now()).cursor
    await stream.look()
    await stream.set(cursor=before)
    await stream.look()
    assert stream.bodies == [["Line 0", "Line 1"]] * 2


async def test_worker_that_was_believed_lost_moves_nothing(database: Database) -> None:
    stream = await streaming(database)
    await write(database, *(line(number) for number in range(4)))

    def overtaken(request: OutgoingRequest) -> IncomingResponse:
        return response(202)

    stream.http.script = [overtaken]
    async with database.transaction() as session:
        assert not await LogStreams(session).move(stream.row.id, "log_elsewhere", cursor="log_0", delivered=9)
        assert await LogStreams(session).move(stream.row.id, stream.row.cursor, cursor=line(1)["id"])
    await stream.look()
    assert stream.bodies == [["Line 2", "Line 3"]]


@pytest.mark.parametrize("how", ["disabled", "deleted", "instance"])
async def test_stream_that_is_over(database: Database, how: str) -> None:
    made = await mine(database)
    stream = await streaming(database, instance_id=made.instance.id, customer_id=made.customer.id)
    async with database.transaction() as session:
        if how == "deleted":
            await LogStreams(session).delete(stream.row.id)
        elif how == "instance":
            assert (await Removal(session).some_of_instance(made.instance.id, 100)).keys() <= {"logs", "log_streams"}
            await Removal(session).some_of_instance(made.instance.id, 100)
            await Removal(session).some_of_instance(made.instance.id, 100)
    if how == "disabled":
        await stream.set(enabled=False)
    assert await stream.look() == LogStreamLook(over=True)
    assert stream.http.sent == []


async def test_streams_that_nobody_looks_at_are_found(database: Database) -> None:
    now = utcnow()
    never = await streaming(database, check_after=None)
    late = await streaming(database, check_after=now - timedelta(seconds=1))
    await streaming(database, check_after=now + timedelta(seconds=1))
    await streaming(database, check_after=None, enabled=False)
    async with database.snapshot() as session:
        assert list(await LogStreams(session).forsaken(now, 10)) == [never.row.id, late.row.id]


async def test_headers_of_a_customers_stream_are_under_its_key(database: Database) -> None:
    made = await mine(database)
    stream = await streaming(database, customer_id=made.customer.id)
    await stream.look()
    assert ("X-Api-Key", "key-of-the-target") in stream.http.sent[0].headers
    row = await stream.now()
    async with database.snapshot() as session:
        [key] = await session.scalars(select(DataKeyRow).where(DataKeyRow.owner == made.customer.id))
    assert data_key_id(row.headers or b"") == key.id
