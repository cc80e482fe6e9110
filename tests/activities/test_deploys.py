from typing import Any

import pytest
from sqlalchemy import select, update
from temporalio.exceptions import ApplicationError

from activities.deployments import secrets_context
from domain.executions import Status
from domain.messages import DeployInput, DeployResult
from domain.values import is_secret_marker
from store.tables import (
    DeploymentRow,
    EventRow,
    ExecutionRow,
    InstanceFlowRow,
    InstanceRow,
    JobRow,
    VersionRow,
)
from tests.activities.kit import Kit, definition
from tests.factories import NOW, an_id, customer, instance, integration, saved, version

CONFIG: list[dict[str, Any]] = [
    {"key": "region", "type": "string", "default": "eu"},
    {"key": "password", "type": "string", "secret": True},
    {"key": "shop", "type": "connection", "connection": "http/bearer"},
]
SECRETS = {"password": "pa55-word", "shop": {"token": "tok-123"}}
SETUP = {"key": "setup", "trigger": {"type": "deploy"}}
NIGHTLY = {"key": "nightly", "trigger": {"type": "schedule", "cron": "0 3 * * *", "time_zone": "Europe/Berlin"}}


async def undeployed(kit: Kit, *flows: dict[str, Any], config: list[dict[str, Any]] | None = None) -> InstanceRow:
    owner, offered = customer(), integration(definition(*flows, config=config))
    published = version(offered)
    made = instance(owner, published)
    await saved(kit.database, owner, offered, published, made)
    return made


async def deploy(kit: Kit, made: InstanceRow, job_id: str | None = None) -> DeployResult:
    message = DeployInput(made.id, job_id or an_id("job"), "bootstrap")
    return await kit.deploys.switch_deployment(message)


async def moved_to(kit: Kit, made: InstanceRow, *flows: dict[str, Any]) -> None:
    """The instance's version is now one with these flows."""
    async with kit.database.transaction() as session:
        held = await session.get_one(VersionRow, made.version_id)
        new = VersionRow(
            id=an_id("ver"),
            integration_id=held.integration_id,
            number=2,
            text="",
            definition=definition(*flows).model_dump(mode="json", by_alias=True),
            created_at=NOW,
            updated_at=NOW,
        )
        session.add(new)
        await session.flush()
        await session.execute(update(InstanceRow).where(InstanceRow.id == made.id).values(version_id=new.id))


async def flows_of(kit: Kit, made: InstanceRow) -> dict[str, InstanceFlowRow]:
    async with kit.database.snapshot() as session:
        rows = await session.scalars(select(InstanceFlowRow).where(InstanceFlowRow.instance_id == made.id))
        return {row.key: row for row in rows}


async def test_deploy_writes_a_deployment_and_switches_to_it(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {}, config=CONFIG)
    async with temporal_kit.database.transaction() as session:
        fields = definition({}, config=CONFIG).fields()
        await temporal_kit.configuration.write(session, made, fields, SECRETS, NOW)
    result = await deploy(temporal_kit, made, "job_1")
    assert (result.deployment_id, result.version, result.deploy_executions) == ("dep_1", 1, [])
    async with temporal_kit.database.snapshot() as session:
        instance_row = await session.get_one(InstanceRow, made.id)
        row = await session.get_one(DeploymentRow, "dep_1")
        hidden = await temporal_kit.vault.decrypt_json(session, row.secrets or b"", secrets_context("dep_1"))
    assert (instance_row.deployment_id, instance_row.needs_deploy) == ("dep_1", False)
    assert instance_row.deployed_at is not None
    assert row.config == {"region": "eu", "shop": {}}
    assert hidden["secrets"] == {"password": "pa55-word"}
    assert hidden["connections"]["shop"]["values"] == {"token": "tok-123"}
    seen = await temporal_kit.deployments.get("dep_1")
    assert is_secret_marker(seen.config["password"])
    assert temporal_kit.deployments.reveal(seen, "password", seen.config["password"]["mac"]) == "pa55-word"
    assert temporal_kit.deployments.reveal(seen, "password", "guess") is None


async def test_deploy_leaves_a_job_and_an_event_without_values(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {})
    await deploy(temporal_kit, made, "job_1")
    [job], [event] = await temporal_kit.rows(JobRow), await temporal_kit.rows(EventRow)
    assert (job.id, job.kind, job.object_id, job.state) == ("job_1", "deploy", made.id, "running")
    assert (event.action, event.instance_id, event.details) == ("instance.deployed", made.id, {"version": 1})


async def test_deploy_repeated_is_the_same_deploy(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {}, SETUP)
    first, second = await deploy(temporal_kit, made, "job_1"), await deploy(temporal_kit, made, "job_1")
    assert first == second
    assert len(first.deploy_executions) == 1
    counted = [len(await temporal_kit.rows(table)) for table in (DeploymentRow, ExecutionRow, EventRow, JobRow)]
    assert counted == [1, 1, 1, 1]


async def test_deploy_repeated_after_another_one_changes_nothing(temporal_kit: Kit) -> None:
    """Not even when the instance has been suspended since."""
    made = await undeployed(temporal_kit, {}, SETUP)
    first = await deploy(temporal_kit, made, "job_1")
    await moved_to(temporal_kit, made, {})
    second = await deploy(temporal_kit, made, "job_2")
    async with temporal_kit.database.transaction() as session:
        (await session.get_one(InstanceRow, made.id)).suspended_at = NOW
    again = await deploy(temporal_kit, made, "job_1")
    assert (again.deployment_id, again.version, again.deploy_executions) == (
        first.deployment_id,
        first.version,
        first.deploy_executions,
    )
    async with temporal_kit.database.snapshot() as session:
        assert (await session.get_one(InstanceRow, made.id)).deployment_id == second.deployment_id
    assert len(await temporal_kit.rows(DeploymentRow)) == 2


async def test_urls_survive_a_redeploy(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {}, {"key": "other"})
    first = await deploy(temporal_kit, made)
    second = await deploy(temporal_kit, made)
    assert first.webhook_urls == second.webhook_urls
    assert first.webhook_urls.keys() == {"hello", "other"}
    assert first.deployment_id != second.deployment_id


async def test_flow_that_comes_back_has_its_url_again(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {}, {"key": "other"})
    first = await deploy(temporal_kit, made)
    await moved_to(temporal_kit, made, {})
    assert (await deploy(temporal_kit, made)).webhook_urls.keys() == {"hello"}
    assert not (await flows_of(temporal_kit, made))["other"].active
    async with temporal_kit.database.transaction() as session:
        await session.execute(update(InstanceRow).where(InstanceRow.id == made.id).values(version_id=made.version_id))
    assert (await deploy(temporal_kit, made)).webhook_urls == first.webhook_urls
    assert (await flows_of(temporal_kit, made))["other"].active


async def test_what_is_missing_is_named_and_nothing_changes(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {}, config=CONFIG)
    with pytest.raises(ApplicationError) as caught:
        await deploy(temporal_kit, made)
    assert (caught.value.type, caught.value.non_retryable) == ("config_invalid", True)
    problems = caught.value.details[0]["details"]["problems"]
    assert [(problem["pointer"], problem["code"]) for problem in problems] == [
        ("#/config/password", "missing"),
        ("#/config/shop", "missing"),
    ]
    assert await temporal_kit.rows(DeploymentRow) == []
    assert [(row.state, row.stage) for row in await temporal_kit.rows(JobRow)] == [("running", "validating")]


async def test_what_must_not_be_deployed(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {})
    async with temporal_kit.database.transaction() as session:
        await session.execute(update(InstanceRow).values(deleting=True))
    codes = []
    for target in (made, InstanceRow(id="inst_gone")):
        with pytest.raises(ApplicationError) as caught:
            await deploy(temporal_kit, target)
        codes.append((caught.value.type, caught.value.non_retryable))
    assert codes == [("state_conflict", True), ("not_found", True)]


async def test_deploy_flows_are_accepted_once_a_deploy(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {}, SETUP)
    results = [await deploy(temporal_kit, made) for _ in range(2)]
    rows = {row.id: row for row in await temporal_kit.rows(ExecutionRow)}
    assert rows.keys() == {result.deploy_executions[0] for result in results}
    row = rows[results[1].deploy_executions[0]]
    assert (row.status, row.trigger, row.deployment_id) == (Status.QUEUED, "deploy", results[1].deployment_id)
    assert row.handed_over_at is None


async def test_accepted_executions_are_started_once(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {}, SETUP)
    result = await deploy(temporal_kit, made)
    for _ in range(2):
        await temporal_kit.deploys.start_accepted([*result.deploy_executions, "exec_gone"])
    handle = temporal_kit.temporal.get_workflow_handle(result.deploy_executions[0])
    events = (await handle.fetch_history()).events
    assert len([event for event in events if event.HasField("workflow_execution_signaled_event_attributes")]) == 0
    await handle.terminate()


async def test_schedules_follow_the_deployed_version(temporal_kit: Kit) -> None:
    made = await undeployed(temporal_kit, {}, NIGHTLY)
    await deploy(temporal_kit, made)
    flows = await flows_of(temporal_kit, made)
    assert flows["nightly"].schedule == {"cron": "0 3 * * *", "time_zone": "Europe/Berlin", "catch_up_seconds": 600.0}
    assert [flows["nightly"].schedule_dirty, flows["hello"].schedule_dirty] == [True, False]
    await moved_to(temporal_kit, made, {})
    await deploy(temporal_kit, made)
    gone = (await flows_of(temporal_kit, made))["nightly"]
    assert (gone.active, gone.schedule, gone.schedule_dirty) == (False, None, True)


async def test_schedule_of_a_config_value(temporal_kit: Kit) -> None:
    config: list[dict[str, Any]] = [{"key": "when", "type": "schedule", "required": False}]
    made = await undeployed(temporal_kit, NIGHTLY | {"trigger": {"type": "schedule", "from": "when"}}, config=config)
    await deploy(temporal_kit, made)
    assert (await flows_of(temporal_kit, made))["nightly"].schedule is None
    async with temporal_kit.database.transaction() as session:
        fields = definition({}, config=config).fields()
        await temporal_kit.configuration.write(session, made, fields, {"when": {"cron": "5 4 * * *"}}, NOW)
    await deploy(temporal_kit, made)
    schedule = (await flows_of(temporal_kit, made))["nightly"].schedule
    assert schedule == {"cron": "5 4 * * *", "time_zone": "UTC", "catch_up_seconds": 600.0}
