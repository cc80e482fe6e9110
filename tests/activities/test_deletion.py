from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sqlalchemy import func, select
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecution, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.acceptance import Request, accept
from activities.deletion import INSTANCES, DeletionActivities
from activities.payloads import Payload
from activities.schedules import schedule_id
from domain.executions import Status
from domain.messages import DELETE_CUSTOMER_WORKFLOW, DELETE_WORKFLOW, DeleteInput, deploy_workflow_id
from store.state import Place, State
from store.tables import (
    Base,
    BlobRow,
    CustomerRow,
    EventRow,
    ExecutionRow,
    FlowApiKeyRow,
    InstanceFlowRow,
    InstanceRow,
    JobRow,
    TombstoneRow,
)
from tests.activities.kit import Kit, definition, working
from tests.factories import NOW, Deployed, an_id, event, instance, instance_flow, job, saved
from tests.fakes import response
from tests.fixtures.temporal import eventually
from tests.furnishing import belonging, furnish

GET = {"key": "get", "action": "http.get", "inputs": {"url": "https://shop.example.com"}}
STAYS = {"events", "jobs", "tombstones", "integrations", "versions", "idempotency", "sweeps", "hours"}
OF_CUSTOMER = {"connections", "oauth_states", "connection_uses", "usage_hours", "removed_executions"}
STAGES = ["remove_flows", "schedules", "stopping", "executions", "data", "done"]
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
        await kit.configuration.write(session, made.instance, {}, {"region": "eu"}, NOW)
        await State(session).hold(Place("instance", made.instance.id, made.instance.id), "cursor", NOW)
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


async def unscheduled(kit: Kit, made: Deployed) -> None:
    await kit.environment.run(kit.deletion.remove_schedules, DeleteInput(made.instance.id, "job_1", "bootstrap"))


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
        await kit.accepted(made, held=0, reason="held")
        assert await kit.rows(BlobRow) != []
        async with kit.database.transaction() as session:
            await furnish(session, made, await kit.execution(good))
        assert set(await counts(kit)) >= belonging()
        message = DeleteInput(made.instance.id, removal.id, "bootstrap")
        await kit.temporal.execute_workflow(DELETE_WORKFLOW, message, id=removal.id, task_queue=kit.task_queue)
    assert set(await counts(kit)) <= STAYS | {"customers", "data_keys"} | OF_CUSTOMER
    [row] = await kit.rows(JobRow)
    assert (row.kind, row.state, row.stage, row.error) == ("delete", "succeeded", "done", None)
    assert [each["stage"] for each in row.stages or []] == STAGES
    assert row.result is not None
    assert row.result["remove_flows"] == {"succeeded": 1}
    removed = row.result["removed"]
    assert (removed["executions"], removed["instances"], removed["schedules"]) == (7, 1, 1)
    assert removed["histories"] == 4  # three of executions that ran, one of the remove-trigger flow's
    assert set(removed) - {"histories", "schedules"} <= belonging() | {"removed_executions"}
    assert {"steps", "logs", "payloads", "blobs", "config_values", "deployments", "state"} <= set(removed)
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

    def get_workflow_handle(self, workflow_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(workflow_id)

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
    latest = {(twice, ""), (deploy_workflow_id(made.instance.id), "")}
    deleted = {each for each in requests.deleted if not each[0].startswith("queue_")}
    assert deleted == latest | {(twice, run_id) for run_id in runs}
    await unscheduled(kit, made)


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
    await unscheduled(kit, made)


async def test_instance_that_was_never_deployed_has_no_remove_flows(temporal_kit: Kit) -> None:
    made, _ = await furnished(temporal_kit)
    async with temporal_kit.database.transaction() as session:
        (await session.get_one(InstanceRow, made.instance.id)).deployment_id = None
    message = DeleteInput(made.instance.id, "job_1", "bootstrap")
    assert (await temporal_kit.deletion.accept_remove_flows(message)).remove_executions == []
    await unscheduled(temporal_kit, made)


async def test_every_piece_of_a_delete_may_be_repeated(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made, _ = await furnished(kit)
    await kit.accepted(made)
    removal = job(kind="delete", object_id=made.instance.id)
    await saved(kit.database, removal)
    message = DeleteInput(made.instance.id, removal.id, "bootstrap")
    await unscheduled(kit, made)
    for act in (kit.deletion.stop_executions, kit.deletion.remove_executions, kit.deletion.remove_instance):
        for _ in range(2):
            await kit.environment.run(act, message)
    assert set(await counts(kit)) <= STAYS | {"customers"} | OF_CUSTOMER
    removed = ((await kit.rows(JobRow))[0].result or {})["removed"]
    assert (removed["executions"], removed["instances"], removed["instance_flows"]) == (1, 1, 3)


async def test_execution_accepted_in_the_last_moment_is_removed(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made, _ = await furnished(kit)
    removal = job(kind="delete", object_id=made.instance.id)
    await saved(kit.database, removal)
    await unscheduled(kit, made)
    message = DeleteInput(made.instance.id, removal.id, "bootstrap")
    await kit.environment.run(kit.deletion.remove_executions, message)
    late = await kit.accepted(made)
    requests = Requests(kit.temporal)
    noting = replace(kit, client=cast(Client, requests))
    await kit.environment.run(noting.deletion.remove_instance, message)
    assert await kit.rows(ExecutionRow) == []
    assert await kit.rows(InstanceRow) == []
    assert (late.id, "") in requests.deleted


async def test_what_deploys_and_drains_leave_is_removed(temporal_kit: Kit) -> None:
    """Their histories are known by name; a large result of theirs is a blob."""
    kit = temporal_kit
    made, _ = await furnished(kit)
    deploy_id = deploy_workflow_id(made.instance.id)
    removal, drain = job(kind="delete", object_id=made.instance.id), job(kind="drain", object_id=made.instance.id)
    blobs = [BlobRow(id=an_id("blob"), workflow_id=each, data=b"", created_at=NOW) for each in (deploy_id, drain.id)]
    other = BlobRow(id=an_id("blob"), workflow_id="deploy-inst_other", data=b"", created_at=NOW)
    await saved(kit.database, removal, drain, *blobs, other)
    requests = Requests(kit.temporal)
    noting = replace(kit, client=cast(Client, requests))
    message = DeleteInput(made.instance.id, removal.id, "bootstrap")
    await kit.environment.run(noting.deletion.remove_executions, message)
    assert {(deploy_id, ""), (drain.id, "")} <= set(requests.deleted)
    assert (removal.id, "") not in requests.deleted
    assert [row.id for row in await kit.rows(BlobRow)] == [other.id]
    await unscheduled(kit, made)


async def test_remove_flow_that_fails_is_noted_and_stops_nothing(temporal_kit: Kit) -> None:
    kit = temporal_kit
    kit.http.script = [response(400)]
    made = await kit.made(definition({"key": "bye", "trigger": {"type": "remove"}, "steps": [GET]}))
    removal = job(kind="delete", object_id=made.instance.id)
    await saved(kit.database, removal)
    message = DeleteInput(made.instance.id, removal.id, "bootstrap")
    async with working(kit):
        await kit.temporal.execute_workflow(DELETE_WORKFLOW, message, id=removal.id, task_queue=kit.task_queue)
    assert await kit.rows(InstanceRow) == []
    [row] = await kit.rows(JobRow)
    assert (row.state, (row.result or {})["remove_flows"]) == ("succeeded", {"failed": 1})
    [event] = await kit.rows(EventRow)
    assert (event.action, event.principal) == ("instance.remove_flow_failed", "flowgraft")
    assert (event.details["flow"], event.details["code"]) == ("bye", "http_status")


async def test_remove_flow_that_takes_too_long_is_noted_once(temporal_kit: Kit) -> None:
    """Nobody works on it here."""
    kit = temporal_kit
    made, _ = await furnished(kit)
    plan = await kit.deletion.accept_remove_flows(DeleteInput(made.instance.id, "job_1", "bootstrap"))
    parts = (kit.temporal, kit.database, kit.deployments, kit.payloads, kit.schedules, kit.jobs)
    deletion = DeletionActivities(*parts, remove_flow_seconds=0.1)
    for _ in range(2):
        await kit.environment.run(deletion.await_executions, plan.remove_executions)
    noted = [row for row in await kit.rows(EventRow) if row.action == "instance.remove_flow_failed"]
    assert [row.details["code"] for row in noted] == ["timed_out"]
    await unscheduled(kit, made)


async def test_instances_of_a_customer_are_planned_in_pieces(temporal_kit: Kit) -> None:
    kit = temporal_kit
    made = await kit.made(definition({}))
    more = [instance(made.customer, made.version) for _ in range(INSTANCES)]
    await saved(kit.database, *more)
    plan = await kit.deletion.plan_customer_removal(DeleteInput(made.customer.id, "job_1", "bootstrap"))
    assert (len(plan.instance_ids), plan.more) == (INSTANCES, True)
    assert {row.deleting for row in await kit.rows(InstanceRow)} == {True}
    async with kit.database.transaction() as session:
        await session.delete(await session.get_one(InstanceRow, more[0].id))
    plan = await kit.deletion.plan_customer_removal(DeleteInput(made.customer.id, "job_1", "bootstrap"))
    assert (len(plan.instance_ids), plan.more) == (INSTANCES, False)


async def test_stopped_executions_are_canceled_in_the_ledger(temporal_kit: Kit) -> None:
    made, _ = await furnished(temporal_kit)
    row = await temporal_kit.accepted(made)
    message = DeleteInput(made.instance.id, "job_1", "bootstrap")
    await temporal_kit.environment.run(temporal_kit.deletion.stop_executions, message)
    seen = await temporal_kit.execution(row.id)
    assert (seen.status, seen.reason, seen.check_after) == (Status.CANCELED, "instance_deleted", None)
    await unscheduled(temporal_kit, made)


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
    removed = ((await kit.rows(JobRow))[0].result or {})["removed"]
    assert (removed["instances"], removed["customers"], removed["instance_flows"]) == (1, 1, 3)
    await unscheduled(kit, spared)


async def missing(call: Awaitable[object]) -> bool:
    try:
        await call
    except RPCError as error:
        return error.status == RPCStatusCode.NOT_FOUND
    return False
