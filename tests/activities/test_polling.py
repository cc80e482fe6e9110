"""What is new in a poll: it becomes the payload, once, together with what is remembered."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.polling import PollActivities, cursor_of
from domain.messages import Polled, PollInput
from store.engine import Database
from store.tables import ExecutionRow
from tests.activities.kit import Kit, definition
from tests.factories import Deployed
from tests.fixtures.temporal import KEYRING


@pytest.fixture
async def made(database: Database) -> Deployed:
    return await Kit(database).made(definition({}))


async def take(database: Database, row: ExecutionRow, output: Any) -> Polled:
    kit = Kit(database)
    message = PollInput(row.id, row.instance_flow_id, row.instance_id, output, "body.orders", "id", "body.next")
    return await PollActivities(database, KEYRING, kit.payloads).take_polled(message)


async def polled(database: Database, made: Deployed, *ids: int, cursor: Any = None) -> list[int] | None:
    """The ids of what is new for a fresh execution."""
    row = await Kit(database).accepted(made, status="running")
    output = {"body": {"orders": [{"id": each} for each in ids], "next": cursor}}
    found = await take(database, row, output)
    return None if found.trigger is None else [item["id"] for item in found.trigger["body"]["items"]]


async def cursor(database: Database, made: Deployed) -> Any:
    async with database.snapshot() as session:
        return await cursor_of(session, KEYRING, made.flow.id, made.instance.id)


async def test_each_item_is_new_once(database: Database, made: Deployed) -> None:
    assert await cursor(database, made) is None
    assert await polled(database, made, 1, 2, 1, cursor="a") == [1, 2]
    assert await polled(database, made, 2, 1) is None
    assert await cursor(database, made) == "a"
    assert await polled(database, made, 2, 3, cursor={"page": 2}) == [3]
    assert await cursor(database, made) == {"page": 2}


async def test_repeated_it_answers_what_was_taken(database: Database, made: Deployed) -> None:
    row = await Kit(database).accepted(made, status="running")
    first = await take(database, row, {"body": {"orders": [{"id": 1}]}})
    assert first.trigger is not None
    again = await take(database, row, {"body": {"orders": [{"id": 1}, {"id": 2}]}})
    assert again == first
    held = await Kit(database).execution(row.id)
    assert (held.payload_id, held.payload_size) == (row.id, len(b'{"items": [{"id": 1}]}'))


async def test_what_is_no_list_fails_the_poll(database: Database, made: Deployed) -> None:
    row = await Kit(database).accepted(made, status="running")
    with pytest.raises(ApplicationError) as caught:
        await take(database, row, {"body": {"orders": "none"}})
    assert caught.value.type == "invalid_poll"
    assert await polled(database, made, 1) == [1]
