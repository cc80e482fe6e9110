"""What is announced, and when nothing is."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from activities.connection_secrets import note_error, note_event
from activities.outbox import Outbox, announce, announce_removals, note
from activities.outcomes import note_failure
from domain.executions import Status
from domain.messages import Failure
from domain.monitors import Place
from domain.oauth import Token
from runtime.clock import utcnow
from store.engine import Database
from store.tables import ExecutionRow, OutboxRow
from tests.activities.connecting import a_connection
from tests.activities.kit import Kit, close_input, definition, open_input, run_step_input
from tests.activities.watchtower import Tower, shared_connection
from tests.factories import NOW, Deployed, event, event_endpoint, execution, monitor, saved

FAILURE = Failure("http_status", "POST answered 500", "tell")


@pytest.fixture
def tower(kit: Kit) -> Tower:
    return Tower(kit)


async def made(tower: Tower) -> tuple[Deployed, ExecutionRow]:
    found = await tower.kit.made(definition({}))
    return found, await tower.kit.accepted(found)


def details(row: OutboxRow) -> dict[str, Any]:
    found: dict[str, Any] = row.fact["details"]
    return found


async def test_nothing_is_written_while_nobody_listens(tower: Tower) -> None:
    await tower.outbox.open()
    _, row = await made(tower)
    await tower.kit.environment.run(tower.kit.executions.open_execution, open_input(row))
    await tower.kit.environment.run(tower.kit.executions.close_execution, close_input(row, "failed", failure=FAILURE))
    assert await tower.facts() == []
    assert not tower.outbox.fresh.is_set()


async def test_nothing_is_written_where_no_outbox_was_opened(tower: Tower) -> None:
    await saved(tower.kit.database, monitor())
    _, row = await made(tower)
    await tower.kit.environment.run(tower.kit.executions.close_execution, close_input(row, "failed"))
    assert await tower.facts() == []


async def test_moves_of_an_execution_are_announced_in_their_transactions(tower: Tower) -> None:
    await tower.endpoint("execution.*")
    found, row = await made(tower)
    run, executions = tower.kit.environment.run, tower.kit.executions
    at = utcnow() + timedelta(minutes=1)
    await run(executions.open_execution, open_input(row))
    again = close_input(row, "retrying", failure=FAILURE, next_attempt_at=at.isoformat())
    await run(executions.close_execution, again)
    await run(executions.open_execution, open_input(row, attempt=2))
    await run(executions.close_execution, close_input(row, "succeeded", attempt=2))
    await run(executions.close_execution, close_input(row, "failed", attempt=2, failure=FAILURE))  # too late
    started, retrying, succeeded = await tower.facts()
    assert [each.kind for each in (started, retrying, succeeded)] == [
        "execution.started",
        "execution.retry_pending",
        "execution.succeeded",
    ]
    assert (details(retrying)["error"], details(retrying)["next_attempt_at"]) == (
        {"code": "http_status", "message": "POST answered 500", "step": "tell"},
        at.isoformat(),
    )
    assert (details(succeeded)["attempt"], details(succeeded)["status"]) == (2, "succeeded")
    assert 0 <= details(succeeded)["duration_seconds"] < 60
    assert started.fact["place"] == {
        "customer_id": found.customer.id,
        "integration_id": None,
        "instance_id": found.instance.id,
        "flow_id": found.flow.id,
    }
    assert tower.outbox.fresh.is_set()


async def test_fire_that_is_skipped_is_announced(tower: Tower) -> None:
    await tower.endpoint("execution.*")
    found = await tower.kit.made(definition({"trigger": {"type": "schedule", "cron": "0 3 * * *"}}), enabled=False)
    row = execution(found.instance, found.flow)
    fire = open_input(row, nominal_at=utcnow().isoformat(), deployment_id="")
    await tower.kit.environment.run(tower.kit.executions.open_execution, fire)
    [fact] = await tower.facts()
    assert (fact.kind, fact.fact["execution_id"], details(fact)["trigger"]) == (
        "execution.skipped",
        row.id,
        "schedule",
    )


async def test_what_is_rolled_back_was_not_announced(tower: Tower) -> None:
    await tower.endpoint()

    async def act() -> None:
        async with tower.kit.database.transaction() as session:
            announce(session, "instance.paused", Place())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await act()
    assert await tower.facts() == []


async def test_what_upkeep_closes_is_announced(temporal_kit: Kit) -> None:
    tower = Tower(temporal_kit)
    await tower.endpoint()
    found = await tower.kit.made(definition({}))
    row = await tower.kit.accepted(found, status=Status.RUNNING, check_after=NOW, workflow_id="schedule-gone")
    await tower.kit.environment.run(tower.kit.upkeep.sweep)
    [fact] = await tower.facts()
    assert (fact.kind, fact.fact["execution_id"]) == ("execution.failed", row.id)
    assert details(fact)["error"]["code"] == "workflow_lost"


async def test_gravest_line_of_a_step_is_announced(tower: Tower) -> None:
    await tower.monitor({"type": "log_severity", "severity": "warn"})
    _, row = await made(tower)
    for level in ("info", "warn", "error"):
        inputs = {"message": f"This is {level}", "level": level}
        await tower.kit.step(run_step_input(row, "log.write", inputs, path=f"say_{level}"))
    facts = await tower.facts()
    assert [(details(each)["severity"], details(each)["message"], details(each)["step"]) for each in facts] == [
        ("warn", "This is warn", "say_warn"),
        ("error", "This is error", "say_error"),
    ]
    assert {each.fact["execution_id"] for each in facts} == {row.id}


async def test_line_about_a_failed_execution_is_announced(tower: Tower) -> None:
    await tower.monitor({"type": "log_severity", "severity": "error"})
    _, row = await made(tower)
    await tower.kit.environment.run(tower.kit.executions.close_execution, close_input(row, "failed", failure=FAILURE))
    [fact] = await tower.facts()
    assert details(fact)["message"] == "Execution failed at step tell: http_status: POST answered 500"


async def test_what_somebody_did_is_announced_unless_an_execution_tells_it_itself(tower: Tower) -> None:
    await tower.endpoint("instance.*", "execution.*")
    found, _ = await made(tower)
    async with tower.kit.database.transaction() as session:
        for action in ("instance.paused", "execution.canceled", "customer.updated", "instance.deleted"):
            note(session, event(found.instance, action, details={"mode": "hold"}))
    [fact] = await tower.facts()
    assert (fact.kind, fact.fact["principal"], details(fact)) == ("instance.paused", "bootstrap", {"mode": "hold"})


async def test_removal_is_announced_with_names(tower: Tower) -> None:
    await tower.endpoint("instance.deleted")
    found, _ = await made(tower)
    async with tower.kit.database.transaction() as session:
        await announce_removals(session, [found.instance.id, "inst_gone"], "bootstrap")
    [fact] = await tower.facts()
    assert details(fact)["names"]["customer"]["name"] == found.customer.name
    assert fact.fact["place"]["integration_id"] == found.integration.id


async def test_failure_of_a_deploy_flow_is_announced_once(tower: Tower) -> None:
    await tower.endpoint("instance.*")
    found = await tower.kit.made(definition({"trigger": {"type": "deploy"}}))
    row = await tower.kit.accepted(found)
    for _ in range(2):
        async with tower.kit.database.transaction() as session:
            await note_failure(session, row, "http_status", NOW)
    assert [each.kind for each in await tower.facts()] == ["instance.deploy_flow_failed"]


async def test_connection_that_stops_working_is_announced(tower: Tower) -> None:
    await tower.monitor({"type": "connection_error"})
    row = shared_connection()
    await saved(tower.kit.database, row)
    async with tower.kit.database.transaction() as session:
        note_error(session, row, "401")
        note_event(session, row, "needs_reauth")
        note_event(session, row, "tested")
    facts = await tower.facts()
    assert [each.kind for each in facts] == ["connection.error", "connection.needs_reauth"]
    assert details(facts[0]) == {"name": "Shop API", "message": "401"}
    assert facts[0].fact["object_id"] == row.id


async def test_token_that_a_target_refuses_is_announced_once(tower: Tower) -> None:
    await tower.monitor({"type": "connection_error"})
    values = {"token_url": "https://auth.example.com/token", "client_id": "c", "client_secret": "s"}
    row = await a_connection(tower.kit.database, values | {"grant": "client_credentials"}, Token("t"), name="Shop API")
    tokens = tower.kit.connections.tokens
    for _ in range(2):
        await tokens.refused(await tokens.read(row.id))
    [fact] = await tower.facts()
    assert (fact.kind, details(fact)) == (
        "connection.error",
        {"name": "Shop API", "message": "The service refuses the token with 401"},
    )


async def test_outbox_learns_of_changes_and_reads_them_once(database: Database) -> None:
    outbox = Outbox(database)
    await outbox.open()
    known = outbox.listeners
    await outbox.refresh()
    assert outbox.listeners is known
    row = monitor({"type": "execution_overdue", "minutes": 5})
    await saved(database, row, event_endpoint("instance.*", enabled=False))
    await outbox.refresh()
    assert [each.monitor_id for each in outbox.looked_for] == [row.id]
    assert not outbox.listeners.want("instance.paused", Place())
    async with database.transaction() as session:
        held = await session.get_one(type(row), row.id)
        held.enabled, held.updated_at = False, utcnow()
    await outbox.refresh()
    assert outbox.looked_for == []


async def test_kept_outbox_nudges_after_what_was_announced(database: Database) -> None:
    nudged = asyncio.Event()
    outbox = Outbox(database)

    async def nudge() -> None:
        nudged.set()
        raise ConnectionError("Temporal is away")

    await saved(database, event_endpoint())
    await outbox.open()
    async with outbox.kept(nudge):
        for _ in range(2):  # an error does not end it
            nudged.clear()
            async with database.transaction() as session:
                announce(session, "instance.paused", Place())
            await asyncio.wait_for(nudged.wait(), 10)
    assert not outbox.fresh.is_set()


async def test_kept_outbox_learns_of_new_listeners_by_itself(database: Database) -> None:
    outbox = Outbox(database)
    await outbox.open()
    async with outbox.kept(asyncio.Event().wait):
        await saved(database, event_endpoint())
        async with asyncio.timeout(10):
            while not outbox.listeners.want("instance.paused", Place()):
                await asyncio.sleep(0.05)


async def test_execution_elsewhere_concerns_nobody(tower: Tower) -> None:
    _, row = await made(tower)
    await tower.monitor(instance_id="inst_other", flow_id="flow_other")
    await tower.kit.environment.run(tower.kit.executions.close_execution, close_input(row, "failed", failure=FAILURE))
    assert await tower.facts() == []
