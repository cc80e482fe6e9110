"""Records the history of every workflow and shape: `python -m tests.replay.record [shape …]`.

The real worker runs against a real server and an SQLite database, with the plain data converter, so that a history is
replayed without keys. Record a shape anew only when its workflow changed behind a version or a patch.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from activities.log_streams import LogStreamActivities
from activities.schedules import schedule_id
from domain.bulk import ReplayInput, UpgradeInput
from domain.definitions.model import Concurrency
from domain.executions import Status
from domain.instants import utc_text
from domain.messages import (
    DELETE_CUSTOMER_WORKFLOW,
    DELETE_WORKFLOW,
    DELIVER_WORKFLOW,
    DEPLOY_WORKFLOW,
    DRAIN_WORKFLOW,
    LOG_STREAM_SIGNAL,
    LOG_STREAM_WORKFLOW,
    RECONCILE_WORKFLOW,
    REPLAY_SIGNAL,
    REPLAY_WORKFLOW,
    RETENTION_WORKFLOW,
    ROTATE_WORKFLOW,
    UPGRADE_SIGNAL,
    UPGRADE_WORKFLOW,
    UPKEEP_WORKFLOW,
    USAGE_WORKFLOW,
    WATCH_WORKFLOW,
    DeleteInput,
    DeployInput,
    LogStreamInput,
    RotateInput,
    queue_workflow_id,
)
from domain.queues import settings_of
from domain.sweeps import DeliverInput, WatchInput
from domain.upgrades import Wish
from runtime.clock import utcnow
from runtime.ids import new_id
from store.engine import Database
from store.instance_flows import InstanceFlows
from store.migrate import upgrade
from store.queues import QueueOf
from store.tables import ExecutionRow
from tests.activities.bulk import Bulk
from tests.activities.fleet import fleet
from tests.activities.kit import Kit, definition, working
from tests.activities.streaming import line, streaming, write
from tests.activities.test_drains import draining, held
from tests.activities.watchtower import Tower, watching
from tests.factories import Deployed, delivery, saved
from tests.fakes import ScriptedHttp, response
from tests.fixtures.temporal import KEYRING, eventually, plain_client, running_server
from tests.replay.portable import portable
from tests.replay.recorder import (
    GET,
    LOOP,
    ORDER,
    POST,
    SAY,
    STOP,
    Handle,
    Recorder,
    canceled,
    ended,
    run,
)
from tests.replay.waiting import called_back, calls, polled, polled_nothing, waiting_for_a_connection
from workflows.log_streams import LogStreamWorkflow

HISTORIES = Path(__file__).parent / "histories"
LARGEST = 60 * 1024


async def simple(recorder: Recorder) -> Handle:
    return await ended(await recorder.start(GET, SAY))


async def local_first(recorder: Recorder) -> Handle:
    """Its step was short the first time."""
    return await ended(await second_of(recorder, GET, SAY))


async def local_first_retried(recorder: Recorder) -> Handle:
    recorder.kit.http.script = [ORDER, response(503), ORDER]
    return await ended(await second_of(recorder, GET | {"on_error": {"retries": 1, "delay": "100ms"}}))


async def second_of(recorder: Recorder, *steps: dict[str, Any]) -> Handle:
    made = await recorder.kit.made(definition({"steps": list(steps)}))
    await ended(await recorder.start_of(made))
    return await recorder.start_of(made)


async def branch_and_loop(recorder: Recorder) -> Handle:
    return await ended(await recorder.start(GET, LOOP, STOP))


async def step_retried(recorder: Recorder) -> Handle:
    recorder.kit.http.script = [response(503), ORDER]
    return await ended(await recorder.start(GET | {"on_error": {"retries": 1, "delay": "100ms"}}))


async def step_continued(recorder: Recorder) -> Handle:
    recorder.kit.http.script = [response(404)]
    return await ended(await recorder.start(GET | {"on_error": {"then": "continue"}}, SAY))


async def failed(recorder: Recorder) -> Handle:
    recorder.kit.http.script = [response(404)]
    return await ended(await recorder.start(SAY, POST))


async def attempt_failed(recorder: Recorder) -> Handle:
    """The first run of an execution that succeeds at its second."""
    second = await attempt_repeated(recorder)
    first = (await second.fetch_history()).events[0].workflow_execution_started_event_attributes
    return recorder.kit.temporal.get_workflow_handle(second.id, run_id=first.continued_execution_run_id)


async def attempt_repeated(recorder: Recorder) -> Handle:
    recorder.kit.http.script = [response(503), ORDER]
    return await ended(await recorder.start(GET, SAY, retry={"retries": 2, "delay": "1s"}))


async def canceled_in_the_back_off(recorder: Recorder) -> Handle:
    recorder.kit.http.script = [response(503)]
    handle = await recorder.start(GET, retry={"retries": 2, "delay": "1h"})
    await recorder.until(handle, Status.RETRYING)
    return await canceled(handle)


async def sleep(recorder: Recorder) -> Handle:
    return await ended(await recorder.start({"key": "nap", "sleep": "10ms"}, SAY))


async def canceled_in_a_sleep(recorder: Recorder) -> Handle:
    handle = await recorder.start(SAY, {"key": "nap", "sleep": "1h"})
    await recorder.until(handle, Status.RUNNING)
    return await canceled(handle)


async def flow_timeout(recorder: Recorder) -> Handle:
    return await ended(await recorder.start({"key": "nap", "sleep": "1h"}, timeout="100ms"))


async def stop_failed(recorder: Recorder) -> Handle:
    return await ended(await recorder.start({"key": "enough", "stop": {"fail": "No more"}}))


async def schedule(recorder: Recorder) -> Handle:
    kit = recorder.kit
    made = await kit.made(definition({"steps": [SAY], "trigger": {"type": "schedule", "cron": "0 3 * * *"}}))
    async with kit.database.transaction() as session:
        flow = await InstanceFlows(session).get(made.flow.id)
        assert flow is not None
        flow.schedule = {"cron": "0 3 * * *", "time_zone": "UTC", "catch_up_seconds": 60.0}
    await kit.schedules.sync_instance(made.instance.id)
    scheduled = kit.temporal.get_schedule_handle(schedule_id(made.flow.id))
    await scheduled.trigger()

    async def fire() -> str:
        return "".join([run.id async for run in kit.temporal.list_workflows(f"InstanceFlowId = '{made.flow.id}'")])

    handle = await ended(kit.temporal.get_workflow_handle(await eventually(fire)))
    await scheduled.delete()
    return handle


async def deploy(recorder: Recorder) -> Handle:
    made = await recorder.kit.made(definition({}, {"key": "setup", "trigger": {"type": "deploy"}, "steps": [SAY]}))
    message = DeployInput(made.instance.id, new_id("job"), "bootstrap")
    return await run(recorder, DEPLOY_WORKFLOW, message)


async def deploy_flows(recorder: Recorder) -> Handle:
    made = await recorder.kit.made(definition({}, {"key": "setup", "trigger": {"type": "deploy"}, "steps": [SAY]}))
    message = DeployInput(made.instance.id, new_id("job"), "bootstrap")
    await run(recorder, DEPLOY_WORKFLOW, message)
    return await ended(recorder.kit.temporal.get_workflow_handle(message.job_id))


async def drain(recorder: Recorder) -> Handle:
    made = await recorder.kit.made(definition({"steps": [SAY]}))
    await held(recorder.kit, made, 2)
    return await run(recorder, DRAIN_WORKFLOW, await draining(recorder.kit, made, keep="latest"))


async def retention(recorder: Recorder) -> Handle:
    return await run(recorder, RETENTION_WORKFLOW)


async def usage(recorder: Recorder) -> Handle:
    return await run(recorder, USAGE_WORKFLOW)


async def reconcile(recorder: Recorder) -> Handle:
    return await run(recorder, RECONCILE_WORKFLOW)


async def deploy_rejected(recorder: Recorder) -> Handle:
    message = DeployInput("inst_gone", new_id("job"), "bootstrap")
    return await run(recorder, DEPLOY_WORKFLOW, message)


async def delete(recorder: Recorder) -> Handle:
    made = await recorder.kit.made(definition({"key": "bye", "trigger": {"type": "remove"}, "steps": [SAY]}))
    message = DeleteInput(made.instance.id, new_id("job"), "bootstrap")
    return await run(recorder, DELETE_WORKFLOW, message)


async def delete_customer(recorder: Recorder) -> Handle:
    made = await recorder.kit.made(definition({}))
    await recorder.kit.accepted(made)
    message = DeleteInput(made.customer.id, new_id("job"), "bootstrap")
    return await run(recorder, DELETE_CUSTOMER_WORKFLOW, message)


async def rotate_keys(recorder: Recorder) -> Handle:
    made = await recorder.kit.made(definition({}))
    async with recorder.kit.database.transaction() as session:
        await recorder.kit.vault.encrypt_json(session, made.customer.id, "secret", "nowhere")
    message = RotateInput(new_id("job"), KEYRING.primary_id, True, made.customer.id, utc_text(utcnow()))
    return await run(recorder, ROTATE_WORKFLOW, message)


async def upgrade_in_rings(recorder: Recorder) -> Handle:
    """Two are deployed, one is only moved."""
    ships = await fleet(recorder.kit, 2)
    undeployed = await fleet(recorder.kit, deployed=False)
    upgrade_id = await ships.joined(undeployed).upgrade([1, 3], stop_at_failure_percent=10.0, watch_seconds=0.0)
    return await run(recorder, UPGRADE_WORKFLOW, UpgradeInput(upgrade_id))


async def upgrade_rolled_back(recorder: Recorder) -> Handle:
    fails = {"key": "setup", "trigger": {"type": "deploy"}, "steps": [{"key": "no", "stop": {"fail": "No"}}]}
    ships = await fleet(recorder.kit, 2, to=definition({}, fails))
    upgrade_id = await ships.upgrade([1, 2], stop_at_failure_percent=10.0, watch_seconds=30.0)
    return await run(recorder, UPGRADE_WORKFLOW, UpgradeInput(upgrade_id))


async def upgrade_paused(recorder: Recorder) -> Handle:
    """Paused at its second instance, resumed, aborted at its third."""
    kit = recorder.kit
    ships = await fleet(kit, 3)
    upgrade_id = await ships.upgrade(rate_per_second=1.0)
    handle: Handle = await kit.temporal.start_workflow(
        UPGRADE_WORKFLOW, UpgradeInput(upgrade_id), id=new_id("job"), task_queue=kit.task_queue
    )
    for done, wish in ((1, Wish.PAUSE), (1, Wish.RUN), (2, Wish.ABORT)):
        await eventually(partial(ships.upgraded, upgrade_id, done), 30)
        await ships.wish(upgrade_id, wish)
        await handle.signal(UPGRADE_SIGNAL)
        await asyncio.sleep(0.3)
    return await ended(handle)


async def replay_many(recorder: Recorder) -> Handle:
    """Paused before its second one, resumed, watched to the end."""
    kit, recorder.kit.http.script = recorder.kit, [response(404), response(404), ORDER]
    made = await kit.made(definition({"steps": [GET]}))
    for _ in range(2):
        await ended(await recorder.start_of(made))
    bulk = Bulk(kit)
    replay_id = await bulk.ask(rate_per_second=1.0)
    handle: Handle = await kit.temporal.start_workflow(
        REPLAY_WORKFLOW, ReplayInput(replay_id), id=replay_id, task_queue=kit.task_queue
    )
    for wish in (Wish.PAUSE, Wish.RUN):
        await eventually(partial(bulk.begun, replay_id), 30)
        await bulk.wish(replay_id, wish)
        await handle.signal(REPLAY_SIGNAL)
        await asyncio.sleep(0.3)
    return await ended(handle)


async def replay_stopped(recorder: Recorder) -> Handle:
    recorder.kit.http.script = [response(404)]
    made = await recorder.kit.made(definition({"steps": [GET]}))
    for _ in range(2):
        await ended(await recorder.start_of(made))
    replay_id = await Bulk(recorder.kit).ask(rate_per_second=1.0, stop_at_failure_percent=10.0)
    return await run(recorder, REPLAY_WORKFLOW, ReplayInput(replay_id))


async def queue(recorder: Recorder) -> Handle:
    return (await three_queued(recorder))[0]


async def queue_gives_a_turn(recorder: Recorder) -> Handle:
    return (await three_queued(recorder))[1]


async def three_queued(recorder: Recorder) -> tuple[Handle, Handle]:
    """One at a time; the first steps aside for the others, and is told when its turn has come: by the last queue."""
    kit = recorder.kit
    kit.http.script = [response(503), ORDER]
    concurrency = Concurrency(mode="sequential")
    made = await kit.made(definition({"steps": [GET], "concurrency": concurrency.model_dump()}))
    await queued_flow(kit, made, concurrency)
    rule = {"max_attempts": 2, "delay_seconds": 1.0}
    rows = [await kit.accepted(made, queue_key="", retry=rule, max_attempts=2) for _ in range(3)]
    await kit.starter.nudge(QueueOf(made.flow.id, made.instance.id, made.customer.id))
    last: Handle = kit.temporal.get_workflow_handle(queue_workflow_id(made.flow.id))
    first: Handle = kit.temporal.get_workflow_handle(last.id, run_id=(await last.describe()).run_id)
    await eventually(partial(all_succeeded, kit, [row.id for row in rows]), 30)
    return await ended(first), await ended(last)


async def queued_flow(kit: Kit, made: Deployed, concurrency: Concurrency) -> None:
    async with kit.database.transaction() as session:
        flow = await InstanceFlows(session).get(made.flow.id)
        assert flow is not None
        flow.concurrency = settings_of(concurrency)


async def all_succeeded(kit: Kit, ids: list[str]) -> bool:
    return {(await kit.execution(each)).status for each in ids} == {Status.SUCCEEDED}


async def parked(recorder: Recorder) -> Handle:
    """The second run of an execution that waits for a slot."""
    last = await queue_gives_a_turn(recorder)
    first = (await recorder.kit.rows(ExecutionRow))[0]
    assert last.id == queue_workflow_id(first.instance_flow_id)
    return recorder.kit.temporal.get_workflow_handle(first.id)


async def log_stream(recorder: Recorder) -> Handle:
    """A failure, whose pause is cut short; then what is sent; then somebody disables it."""
    kit, queue = recorder.kit, new_id("queue")
    stream = await streaming(kit.database, response(503, retry_after="3600"), response(202))
    await write(kit.database, line(0))
    activities = LogStreamActivities(kit.database, kit.vault, stream.http, look_seconds=0)
    async with Worker(
        kit.temporal, task_queue=queue, workflows=[LogStreamWorkflow], activities=[activities.send_log_lines]
    ):
        message = LogStreamInput(stream.row.id)
        handle: Handle = await kit.temporal.start_workflow(
            LOG_STREAM_WORKFLOW, message, id=new_id("job"), task_queue=queue
        )
        await eventually(stream.failing, 30)
        await handle.signal(LOG_STREAM_SIGNAL)
        await eventually(stream.delivered, 30)
        await stream.set(enabled=False)
        return await ended(handle)


async def watch(recorder: Recorder) -> Handle:
    """An execution has failed; somebody is told."""
    tower = Tower(recorder.kit)
    await tower.monitor()
    await tower.outbox.open()
    await failed(recorder)
    async with watching(tower) as queue:
        return await run(recorder, WATCH_WORKFLOW, WatchInput(), task_queue=queue)


async def deliver(recorder: Recorder) -> Handle:
    """Arrives at its second attempt, five seconds later."""
    recorder.kit.http.script = [response(503), response(204)]
    tower = Tower(recorder.kit)
    message = delivery(await tower.target_of((await tower.endpoint()).id))
    await saved(recorder.kit.database, message)
    async with watching(tower) as queue:
        return await run(recorder, DELIVER_WORKFLOW, DeliverInput(message.id), task_queue=queue)


async def upkeep(recorder: Recorder) -> Handle:
    return await run(recorder, UPKEEP_WORKFLOW)


_A = (simple, local_first, local_first_retried, branch_and_loop, step_retried, step_continued)
_B = (failed, attempt_failed, attempt_repeated, canceled_in_the_back_off, canceled_in_a_sleep)
_C = (sleep, flow_timeout, stop_failed, schedule, deploy, deploy_flows, deploy_rejected, drain)
_D = (retention, usage, reconcile, delete, delete_customer, rotate_keys, upgrade_in_rings)
_E = (upgrade_rolled_back, upgrade_paused, replay_many, replay_stopped, queue)
_F = (queue_gives_a_turn, parked, log_stream, watch, deliver, upkeep)
_G = (waiting_for_a_connection, calls, called_back, polled, polled_nothing)
SHAPES: dict[str, Callable[[Recorder], Awaitable[Handle]]] = {
    shape.__name__: shape for shape in (*_A, *_B, *_C, *_D, *_E, *_F, *_G)
}


@asynccontextmanager
async def recording(client: Client, database_url: str) -> AsyncIterator[Recorder]:
    """One database and one worker for each shape, so that none sees what another left."""
    database = Database(database_url)
    kit = Kit(database, ScriptedHttp(ORDER), client, new_id("queue"))
    try:
        async with working(kit):
            yield Recorder(kit)
    finally:
        await database.dispose()


async def record(address: str, names: list[str]) -> None:
    client = await plain_client(address)
    for name in names:
        with tempfile.TemporaryDirectory() as directory:
            url = f"sqlite+aiosqlite:///{directory}/flowgraft.db"
            await asyncio.to_thread(upgrade, url)
            async with recording(client, url) as recorder:
                handle = await SHAPES[name](recorder)
                history = portable((await handle.fetch_history()).to_json())
        assert len(history) <= LARGEST, f"{name} has {len(history)} bytes"
        (HISTORIES / f"{name}.json").write_text(history)


def main() -> None:
    with running_server() as address:
        asyncio.run(record(address, sys.argv[1:] or list(SHAPES)))


if __name__ == "__main__":
    main()
