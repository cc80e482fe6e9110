from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field, replace
from typing import cast

from sqlalchemy import func, select
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.acceptance import Request, accept
from activities.payloads import Payload
from activities.schedules import schedule_id
from domain.executions import Status
from domain.messages import DELETE_CUSTOMER_WORKFLOW, DELETE_WORKFLOW, DeleteInput
from store.state import State
from store.tables import (
    Base,
    BlobRow,
    CustomerRow,
    ExecutionRow,
    FlowApiKeyRow,
    InstanceFlowRow,
    InstanceRow,
    JobRow,
    TombstoneRow,
)
from tests.activities.kit import Kit, definition, working
from tests.factories import NOW, Deployed, an_id, event, instance_flow, job, saved
from tests.fakes import response
from tests.fixtures.temporal import eventually

GET = {"key": "get", "action": "http.get", "inputs": {"url": "https://shop.example.com"}}
STAYS = {"events", "jobs", "tombstones", "integrations", "versions"}
NIGHTLY = {"cron": "0 3 * * *", "time_zone": "UTC", "catch_up_seconds": 60.0}
COUNT = {"key": "n", "action": "state.increment", "inputs": {"key": "n"}}
BYE = {"key": "say", "action": "log.write", "inputs": {"message": "Bye"}}
FLOWS = (
    {"steps": [COUNT, GET], "retry": {"retries": 1, "delay": "1s"}},
    {"key": "slow", "steps": [{"key": "nap", "sleep": "1h"}]},
    {"key": "bye", "trigger": {"type": "remove"}, "steps": [BYE]},
)


async def furnished(kit: Kit) -> tuple[Deployed, InstanceFlowRow]:
    """A deployed instance with something in every table, and its flow that sleeps."""
    made = await kit.made(definition(*FLOWS))
    slow = instance_flow(made.instance, "slow", schedule=NIGHTLY, trigger="schedule")
    bye = instance_flow(made.instance, "bye", trigger="remove")
    key = FlowApiKeyRow(id=an_id("key"), instance_flow_id=made.flow.id, hash="h", created_at=NOW)
    await saved(kit.database, slow, bye, key, event(made.instance, "instance.created"))
    async with kit.database.transaction() as session:
        await kit.configuration.write(session, made.instance.id, {}, {"region": "eu"}, NOW)
        await State(session).hold("instance", made.instance.id, "cursor", made.instance.id, NOW)
    await kit.schedules.sync_instance(made.instance.id)
    return made, slow


async def started(kit: Kit, made: Deployed, flow: InstanceFlowRow, size: int = 1) -> str:
    """An execution under way; a large payload leaves blobs."""
    deployment = await kit.deployments.get(made.deployment.id)
    payload = Payload("POST", "/", [], [], "text/plain", b"x" * size)
    request = Request(flow, made.instance, made.customer, deployment, payload, tags={"order": "7"})
    async with kit.database.transaction() as session:
        handover = await accept(session, kit.payloads, request)
    await kit.starter.start(handover)
    return handover.execution_id


async def reached(kit: Kit, execution_id: str, status: Status) -> ExecutionRow:
    async def look() -> ExecutionRow | None:
        row = await kit.execution(execution_id)
        return row if row.status == status else None

    row = await eventually(look, 15)
    assert row is not None
    return row


async def counts(kit: Kit) -> dict[str, int]:
    """Tables that hold something."""
    found = {}
    async with kit.database.snapshot() as session:
        for name, table in Base.metadata.tables.items():
            found[name] = await session.scalar(select(func.count()).select_from(table)) or 0
    return {name: count for name, count in found.items() if count}


async def test_delete_leaves_nothing_of_the_instance(temporal_kit: Kit) -> None:
    kit = temporal_kit
    kit.http.script = [response(200), response(500)]
    made, slow = await furnished(kit)
    removal = job(kind="delete", object_id=made.instance.id)
    await saved(kit.database, removal)
    async with working(kit):
        good = await started(kit, made, made.flow, size=100_000)
        await reached(kit, good, Status.SUCCEEDED)
        twice = await started(kit, made, made.flow)
        await reached(kit, twice, Status.FAILED)
        sleeping = await started(kit, made, slow)
        await reached(kit, sleeping, Status.RUNNING)
        await kit.accepted(made)  # never handed over
        assert await kit.rows(BlobRow) != []
        assert set(Base.metadata.tables) - set(await counts(kit)) <= {"api_keys", "idempotency", "tombstones"}
        message = DeleteInput(made.instance.id, removal.id, "bootstrap")
        await kit.temporal.execute_workflow(DELETE_WORKFLOW, message, id=removal.id, task_queue=kit.task_queue)
    assert set(await counts(kit)) <= STAYS | {"customers"}
    assert [(row.state, row.stage) for row in await kit.rows(JobRow)] == [("succeeded", None)]
    assert await missing(kit.temporal.get_schedule_handle(schedule_id(slow.id)).describe())


@dataclass
class Requests:
    """Between us and Temporal, which deletes a history at its leisure: what it was asked to delete."""

    client: Client
    deleted: list[tuple[str, str]] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return self.client.namespace

    @property
    def workflow_service(self) -> "Requests":
        return self

    def list_workflows(self, query: str) -> AsyncIterator[WorkflowExecution]:
        return self.client.list_workflows(query)

    async def delete_workflow_execution(self, request: DeleteWorkflowExecutionRequest) -> None:
        self.deleted.append((request.workflow_execution.workflow_id, request.workflow_execution.run_id))
        await self.client.workflow_service.delete_workflow_execution(request)


async def test_histories_of_all_attempts_are_deleted(temporal_kit: Kit) -> None:
    kit = temporal_kit
    kit.http.script = [response(500)]
    made, _ = await furnished(kit)
    async with working(kit):
        twice = await started(kit, made, made.flow)
        await reached(kit, twice, Status.FAILED)
    query = f"WorkflowId = '{twice}'"

    async def both() -> list[str]:
        runs = [run.run_id async for run in kit.temporal.list_workflows(query)]
        return runs if len(runs) == 2 else []

    runs = await eventually(both)
    requests = Requests(kit.temporal)
    noting = replace(kit, client=cast(Client, requests))
    message = DeleteInput(made.instance.id, "job_1", "bootstrap")
    await kit.environment.run(noting.deletion.remove_executions, message)
    assert set(requests.deleted) == {(twice, run_id) for run_id in ("", *runs)}
    await kit.environment.run(kit.deletion.remove_schedules, made.instance.id)


async def test_remove_flows_run_before_everything_goes(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made, _ = await furnished(kit)
    message = DeleteInput(made.instance.id, "job_1", "bootstrap")
    plan = await kit.deletion.accept_remove_flows(message)
    assert plan == await kit.deletion.accept_remove_flows(message)
    assert len(plan.remove_executions) == 1
    async with working(kit):
        await kit.deploys.start_accepted(plan.remove_executions)
        await kit.environment.run(kit.deletion.await_executions, plan.remove_executions)
    row = await kit.execution(plan.remove_executions[0])
    assert (row.trigger, row.status) == ("remove", Status.SUCCEEDED)
    assert await kit.lines(row.id) == ["Bye"]
    await kit.environment.run(kit.deletion.remove_schedules, made.instance.id)


async def test_instance_that_was_never_deployed_has_no_remove_flows(temporal_kit: Kit) -> None:
    made, _ = await furnished(temporal_kit)
    async with temporal_kit.database.transaction() as session:
        (await session.get_one(InstanceRow, made.instance.id)).deployment_id = None
    message = DeleteInput(made.instance.id, "job_1", "bootstrap")
    assert (await temporal_kit.deletion.accept_remove_flows(message)).remove_executions == []
    await temporal_kit.environment.run(temporal_kit.deletion.remove_schedules, made.instance.id)


async def test_every_piece_of_a_delete_may_be_repeated(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made, _ = await furnished(kit)
    await kit.accepted(made)
    message = DeleteInput(made.instance.id, "job_1", "bootstrap")
    for act in (kit.deletion.stop_executions, kit.deletion.remove_executions, kit.deletion.remove_instance):
        for _ in range(2):
            await kit.environment.run(act, message)
    await kit.environment.run(kit.deletion.remove_schedules, made.instance.id)
    assert set(await counts(kit)) <= STAYS | {"customers"}


async def test_stopped_executions_are_canceled_in_the_ledger(temporal_kit: Kit) -> None:
    made, _ = await furnished(temporal_kit)
    row = await temporal_kit.accepted(made)
    message = DeleteInput(made.instance.id, "job_1", "bootstrap")
    await temporal_kit.environment.run(temporal_kit.deletion.stop_executions, message)
    seen = await temporal_kit.execution(row.id)
    assert (seen.status, seen.reason, seen.check_after) == (Status.CANCELED, "instance_deleted", None)
    await temporal_kit.environment.run(temporal_kit.deletion.remove_schedules, made.instance.id)


async def test_delete_of_a_customer_takes_all_of_its_instances(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made, _ = await furnished(kit)
    spared, _ = await furnished(kit)
    removal = job(kind="delete_customer", object_id=made.customer.id)
    await saved(kit.database, removal)
    message = DeleteInput(made.customer.id, removal.id, "bootstrap")
    async with working(kit):
        await kit.temporal.execute_workflow(DELETE_CUSTOMER_WORKFLOW, message, id=removal.id, task_queue=kit.task_queue)
    assert [row.id for row in await kit.rows(CustomerRow)] == [spared.customer.id]
    assert [row.id for row in await kit.rows(InstanceRow)] == [spared.instance.id]
    assert made.flow.token in {row.token for row in await kit.rows(TombstoneRow)}
    await kit.environment.run(kit.deletion.remove_schedules, spared.instance.id)


async def missing(call: Awaitable[object]) -> bool:
    try:
        await call
    except RPCError as error:
        return error.status == RPCStatusCode.NOT_FOUND
    return False
