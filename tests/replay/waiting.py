"""Shapes of executions that wait: for flows that they call, for somebody, for what is new."""

from typing import Any

from activities.callbacks import callback_context
from activities.waiting import tell_waiting
from domain.callbacks import WAITING_CALLBACK, Place
from domain.connections import ConnectionStatus
from domain.executions import WAITING_CONNECTION
from domain.messages import CALLBACK_SIGNAL
from domain.oauth import Token
from runtime.clock import utcnow
from store.callbacks import CallbacksTaken
from store.connections import Connections
from tests.activities.connecting import a_connection, deployed_with
from tests.activities.kit import definition
from tests.factories import instance_flow, saved
from tests.fixtures.temporal import KEYRING, eventually
from tests.replay.recorder import GET, OAUTH, SAY, Handle, Recorder, ended


async def calls(recorder: Recorder) -> Handle:
    """It waits for one flow, goes on when another has failed, and lets a third run by itself."""
    ask = {"key": "ask", "call": {"flow": "other", "inputs": {"order": "{{ trigger.body }}"}}}
    careless = {"key": "try", "call": {"flow": "failing"}, "on_error": {"then": "continue"}}
    steps = [ask, careless, {"key": "tell", "call": {"flow": "other", "wait": False}}]
    of = {"trigger": {"type": "flow"}}
    failing = {"key": "failing", "steps": [{"key": "no", "stop": {"fail": "No"}}]} | of
    made = await recorder.kit.made(definition({"steps": steps}, {"key": "other", "steps": [GET]} | of, failing))
    flows = [instance_flow(made.instance, key, 1, trigger="flow") for key in ("other", "failing")]
    await saved(recorder.kit.database, *flows)
    return await ended(await recorder.start_of(made))


POLL: dict[str, Any] = {"type": "poll", "cron": "0 3 * * *", "action": "http.get", "items": "body.lines"}
POLL |= {"inputs": GET["inputs"]}


async def polled(recorder: Recorder) -> Handle:
    return await ended(await recorder.start(SAY, trigger=POLL))


async def polled_nothing(recorder: Recorder) -> Handle:
    """All of it was seen the first time."""
    made = await recorder.kit.made(definition({"steps": [SAY], "trigger": POLL}))
    await ended(await recorder.start_of(made))
    return await ended(await recorder.start_of(made))


async def called_back(recorder: Recorder) -> Handle:
    """By somebody who waits a while; then nobody calls in time."""
    ask = {"key": "ask", "wait": {"timeout": "1h"}}
    late = {"key": "late", "wait": {"timeout": "500ms"}, "on_error": {"then": "continue"}}
    handle = await recorder.start_of(await recorder.kit.made(definition({"steps": [ask, SAY, late]})))

    async def waits() -> bool:
        return (await recorder.kit.execution(handle.id)).reason == WAITING_CALLBACK

    await eventually(waits, 30)
    place = Place(handle.id, 1, "ask")
    async with recorder.kit.database.transaction() as session:
        sealed = KEYRING.encrypt_json({"body": 7}, callback_context(*place))
        assert await CallbacksTaken(session).take(place, sealed, utcnow())
    await handle.signal(CALLBACK_SIGNAL, place.path)
    return await ended(handle)


async def waiting_for_a_connection(recorder: Recorder) -> Handle:
    """A step whose connection must be authorised again, and is."""
    database, wanted = recorder.kit.database, {"steps": [GET | {"connection": "shop"}, SAY]}
    shop = await a_connection(database, OAUTH, Token("token"), status=ConnectionStatus.NEEDS_REAUTH)
    handle = await recorder.start_of(await deployed_with(recorder.kit, definition(wanted), shop.id))

    async def waits() -> bool:
        return (await recorder.kit.execution(handle.id)).reason == WAITING_CONNECTION

    await eventually(waits, 30)
    async with database.transaction() as session:
        await Connections(session).change(shop.id, shop.token_version, status=ConnectionStatus.ACTIVE)
    assert await tell_waiting(recorder.kit.temporal, database, 9) == 1
    return await ended(handle)
