"""What every shape of a recorded history is made with."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle

from activities.handover import handover_of
from domain.executions import RetryRule, Status, retry_rule
from runtime.ids import new_id
from store.executions import Executions
from tests.activities.kit import Kit, definition
from tests.factories import Deployed
from tests.fakes import response
from tests.fixtures.temporal import eventually

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


OAUTH = {"token_url": "https://id.example.com/token", "client_id": "a", "grant": "client_credentials"}


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


async def run(recorder: Recorder, workflow: str, *arguments: Any, task_queue: str = "") -> Handle:
    """On the kit's task queue, unless another one is named."""
    kit = recorder.kit
    queue = task_queue or kit.task_queue
    return await ended(await kit.temporal.start_workflow(workflow, args=arguments, id=new_id("job"), task_queue=queue))


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
