"""What an execution is called back with: once, and not after its time."""

import pytest

from activities.callbacks import CallbackActivities, callback_context
from activities.records import value_context
from domain.callbacks import Place
from domain.messages import CallbackInput, CallbackSight
from runtime.clock import utcnow
from store.callbacks import CallbacksTaken
from store.engine import Database
from store.steps import Record, Steps
from tests.activities.kit import Kit, definition
from tests.factories import NOW
from tests.fixtures.temporal import KEYRING

VALUE = {"body": {"n": 1}}


@pytest.fixture
async def place(database: Database) -> Place:
    kit = Kit(database)
    row = await kit.accepted(await kit.made(definition({})), status="running", attempt=1)
    return Place(row.id, 1, "ask")


async def look(database: Database, place: Place, **given: object) -> CallbackSight:
    message = CallbackInput(*place)
    for name, value in given.items():
        setattr(message, name, value)
    return await CallbackActivities(database, KEYRING).look_for_callback(message)


async def take(database: Database, place: Place) -> bool:
    async with database.transaction() as session:
        sealed = KEYRING.encrypt_json(VALUE, callback_context(*place))
        return await CallbacksTaken(session).take(place, sealed, utcnow())


async def reason(database: Database, place: Place) -> str | None:
    return (await Kit(database).execution(place.execution_id)).reason


async def test_execution_waits_until_something_comes(database: Database, place: Place) -> None:
    assert await look(database, place) == CallbackSight(False)
    assert await reason(database, place) == "waiting_callback"
    assert [await take(database, place) for _ in range(2)] == [True, False]
    for _ in range(2):
        assert await look(database, place) == CallbackSight(True, VALUE)
    assert await reason(database, place) is None


async def test_nothing_comes_when_its_time_is_up(database: Database, place: Place) -> None:
    assert await look(database, place, over=True) == CallbackSight(False)
    assert await reason(database, place) is None
    assert not await take(database, place)


async def test_what_has_come_in_the_last_moment_counts(database: Database, place: Place) -> None:
    await take(database, place)
    assert await look(database, place, over=True) == CallbackSight(True, VALUE)


async def test_replay_from_the_failed_step_keeps_what_came(database: Database, place: Place) -> None:
    kit = Kit(database)
    original = await kit.accepted(await kit.made(definition({})))
    sealed = KEYRING.encrypt_json(VALUE, value_context(original.id, 1, "ask", "output"))
    record = Record(
        execution_id=original.id,
        attempt=1,
        path="ask",
        key="ask",
        name="Ask",
        component="flow",
        action="wait",
        position=1,
        iteration=[],
        status="succeeded",
        started_at=NOW,
        output=sealed,
    )
    async with database.transaction() as session:
        await Steps(session).record([record])
    assert await look(database, place, resume_from=original.id) == CallbackSight(True, VALUE)
    assert await reason(database, place) is None
