"""Records the history of every workflow and shape: `python -m tests.replay.record [shape …]`.

The real worker runs against a real server and an SQLite database, with the plain data converter, so that a history is
replayed without keys. Record a shape anew only when its workflow changed behind a version or a patch.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from activities.handover import handover_of
from activities.schedules import schedule_id
from domain.executions import RetryRule, Status, retry_rule
from domain.messages import (
    DELETE_CUSTOMER_WORKFLOW,
    DELETE_WORKFLOW,
    DEPLOY_WORKFLOW,
    UPKEEP_WORKFLOW,
    DeleteInput,
    DeployInput,
)
from runtime.ids import new_id
from store.engine import Database
from store.executions import Executions
from store.instance_flows import InstanceFlows
from store.migrate import upgrade
from tests.activities.kit import Kit, definition, working
from tests.factories import Deployed
from tests.fakes import ScriptedHttp, response
from tests.fixtures.temporal import eventually, plain_client, running_server

HISTORIES = Path(__file__).parent / "histories"
LARGEST = 60 * 1024

Handle = WorkflowHandle[Any, Any]

GET = {"key": "get", "action": "http.get", "inputs": {"url": "https://shop.example.com/orders/7"}}
POST = GET | {"key": "ship", "action": "http.post"}
SAY = {"key": "say", "action": "log.write", "inputs": {"message": "Order {{ steps.get.body.id }}"}}
ENOUGH = {"greater_than": ["{{ loop.index }}", 1]}
BIG = {"greater_than": ["{{ loop.index }}", 0]}
LOOP = {
    "key": "lines",
    "loop": {"over": "{{ steps.get.body.lines }}"},
    "steps": [
        {
            "key": "size",
            "branch": [
                {"name": "Enough", "when": ENOUGH, "steps": [{"key": "out", "break": True}]},
                {"name": "Big", "when": BIG, "steps": [POST]},
                {"name": "Else", "else": True, "steps": [SAY | {"key": "note"}]},
            ],
        },
    ],
}
STOP = {"key": "answer", "stop": {"status": 200, "body": "{{ steps.lines }}"}}
ORDER = response(200, '{"id": 7, "lines": ["a", "b", "c"]}', content_type="application/json")


@dataclass
class Recorder:
    kit: Kit

    async def start(self, *steps: dict[str, Any], **of_flow: Any) -> Handle:
        made = await self.kit.made(definition({"steps": list(steps), **of_flow}))
        return await self.start_of(made)

    async def start_of(self, made: Deployed) -> Handle:
        deployment = await self.kit.deployments.get(made.deployment.id)
        rule: RetryRule = retry_rule(deployment.definition.flow(made.flow.key).retry)
        row = await self.kit.accepted(made, retry=asdict(rule), max_attempts=rule.max_attempts)
        async with self.kit.database.snapshot() as session:
            view = await Executions(session).view(row.id)
        assert view is not None
        await self.kit.starter.start(handover_of(view), delivery=True)
        return self.kit.temporal.get_workflow_handle(row.id)

    async def until(self, handle: Handle, status: Status) -> None:
        async def look() -> bool:
            return (await self.kit.execution(handle.id)).status == status

        await eventually(look, 30)


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


async def upkeep(recorder: Recorder) -> Handle:
    return await run(recorder, UPKEEP_WORKFLOW)


SHAPES: dict[str, Callable[[Recorder], Awaitable[Handle]]] = {
    shape.__name__: shape
    for shape in (
        simple,
        local_first,
        local_first_retried,
        branch_and_loop,
        step_retried,
        step_continued,
        failed,
        attempt_failed,
        attempt_repeated,
        canceled_in_the_back_off,
        canceled_in_a_sleep,
        sleep,
        flow_timeout,
        stop_failed,
        schedule,
        deploy,
        deploy_rejected,
        delete,
        delete_customer,
        upkeep,
    )
}


async def run(recorder: Recorder, workflow: str, *arguments: Any) -> Handle:
    kit = recorder.kit
    return await ended(
        await kit.temporal.start_workflow(workflow, args=arguments, id=new_id("job"), task_queue=kit.task_queue)
    )


async def ended(handle: Handle) -> Handle:
    """However it ends."""
    try:
        await asyncio.wait_for(handle.result(), 60)
    except WorkflowFailureError:
        return handle
    return handle


async def canceled(handle: Handle) -> Handle:
    await handle.cancel()
    return await ended(handle)


def portable(history: str) -> str:
    """Without what is of this machine: traces with paths, and the ids of workers."""
    return json.dumps(_without(json.loads(history), {"stackTrace", "identity", "workerVersion"}), indent=1) + "\n"


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    return [_without(item, names) for item in value] if isinstance(value, list) else value


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
