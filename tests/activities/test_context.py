from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from temporalio import activity, workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.context import LogContext
from components.base import Action, ActionContext, Component, Inputs
from runtime.ids import new_id
from store.engine import Database
from tests.activities.kit import Kit, close_input, definition, open_input, run_step_input
from tests.fixtures.temporal import encrypting_client

SOON = timedelta(seconds=10)
seen: list[dict[str, Any]] = []


@dataclass
class About:
    execution_id: str = "exec_1"
    instance_id: str = ""
    attempt: int = 1


@activity.defn
async def look(message: About) -> None:
    seen.append(structlog.contextvars.get_contextvars())


@activity.defn
async def look_around() -> None:
    seen.append(structlog.contextvars.get_contextvars())


@workflow.defn
class Looking:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(look, About(), start_to_close_timeout=SOON)
        await workflow.execute_local_activity(look, About(), start_to_close_timeout=SOON)
        await workflow.execute_activity(look_around, start_to_close_timeout=SOON)


class NoInputs(Inputs):
    pass


async def test_what_an_activity_logs_says_whose_execution_it_is(temporal_address: str) -> None:
    client, queue = await encrypting_client(temporal_address), new_id("queue")
    seen.clear()
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Looking],
        activities=[look, look_around],
        interceptors=[LogContext()],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await client.execute_workflow(Looking.run, id=new_id("wf"), task_queue=queue)
    regular, local, bare = seen
    assert regular == {"activity": "look", "execution_id": "exec_1"}
    assert local == regular
    assert bare == {"activity": "look_around"}


async def test_what_a_step_logs_says_which_step_it_is(sqlite_database: Database) -> None:
    async def act(context: ActionContext, inputs: NoInputs) -> Any:
        return structlog.contextvars.get_contextvars()

    kit = Kit(sqlite_database, plugins=(Component("acme", "Acme", (Action("act", NoInputs, act, "Acts"),)),))
    structlog.contextvars.clear_contextvars()
    row = await kit.accepted(await kit.made(definition({})))
    told = await kit.step(run_step_input(row, "acme.act", {}, path="lines[1].ship"))
    assert told == {
        "execution_id": row.id,
        "step": "lines[1].ship",
        "customer_id": row.customer_id,
        "instance_id": row.instance_id,
    }


async def test_opening_and_closing_know_the_customer(sqlite_database: Database) -> None:
    kit = Kit(sqlite_database)
    row = await kit.accepted(await kit.made(definition({})))
    for act in (
        partial(kit.executions.open_execution, open_input(row)),
        partial(kit.executions.close_execution, close_input(row, "succeeded")),
    ):
        structlog.contextvars.clear_contextvars()
        await act()
        held = structlog.contextvars.get_contextvars()
        assert (held["customer_id"], held["instance_id"]) == (row.customer_id, row.instance_id)
