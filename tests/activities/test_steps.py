import asyncio
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activities import steps as steps_module
from activities.deployments import secrets_context
from activities.pace import MOST_LOCAL
from components.base import Action, ActionContext, Component, Inputs
from domain.errors import StepFailed
from domain.executions import StepStatus
from domain.messages import StepRecord
from domain.values import MASK, PARTS, secret_marker
from store.engine import Database
from store.tables import DeploymentRow, ExecutionRow, StateRow, StepRow
from tests.activities.kit import Kit, definition, run_step_input
from tests.factories import Deployed
from tests.fakes import response
from tests.fixtures.temporal import KEYRING

ONE = definition({})
URL = {"url": "https://api.example.com/orders"}
TOKEN = "tok-Aa1/+secret"
SHOP = {"kind": "http/bearer", "values": {"token": TOKEN}, "hosts": None}
HIDDEN = {"secrets": {"password": "pa55-word"}, "connections": {"shop": SHOP}}


class NoInputs(Inputs):
    pass


def plugin(run: Any, *, local: bool = False) -> tuple[Component, ...]:
    """A component `acme` with the one action `act`."""

    async def act(context: ActionContext, inputs: NoInputs) -> Any:
        return await run(context)

    return (Component("acme", "Acme", (Action("act", NoInputs, act, "Acts", local=local),)),)


async def secretive(kit: Kit) -> tuple[Deployed, ExecutionRow]:
    """An accepted execution of a deployment with a secret and a connection."""
    made = await kit.made(ONE)
    async with kit.database.transaction() as session:
        row = await session.get_one(DeploymentRow, made.deployment.id)
        row.secrets = KEYRING.encrypt_json(HIDDEN, secrets_context(row.id))
    return made, await kit.accepted(made)


async def an_execution(kit: Kit) -> ExecutionRow:
    return await kit.accepted(await kit.made(ONE))


async def test_step_is_recorded_and_answered(kit: Kit) -> None:
    row = await an_execution(kit)
    kit.http.script = [response(200, '{"id": 7}', content_type="application/json")]
    message = run_step_input(
        row, "http.get", URL, path="lines[1].get", key="get", name="Get it", iteration=[1], position=4
    )
    output = await kit.step(message)
    assert (output["status"], output["body"]) == (200, {"id": 7})
    record = await kit.step_row(row.id, "lines[1].get")
    assert (record.key, record.name, record.component, record.action) == ("get", "Get it", "http", "get")
    assert (record.status, record.tries, record.position, record.iteration) == (StepStatus.SUCCEEDED, 1, 4, [1])
    assert record.error is None
    assert b"orders" not in (record.inputs or b"")
    assert KEYRING.decrypt_json(record.inputs or b"", f"steps/{row.id}/1/lines[1].get/inputs") == URL
    assert KEYRING.decrypt_json(record.output or b"", f"steps/{row.id}/1/lines[1].get/output") == output
    assert record.output_size == len(record.output or b"")
    assert await kit.lines(row.id) == ["GET api.example.com/orders answered 200"]


async def test_recorded_step_is_not_done_again(kit: Kit) -> None:
    row = await an_execution(kit)
    message = run_step_input(row, "http.post", URL)
    first = await kit.step(message)
    assert await kit.step(message) == first
    assert len(kit.http.sent) == 1
    assert dict(kit.http.sent[0].headers)["Idempotency-Key"] == f"{row.id}:step"


async def test_recorded_failure_is_not_done_again(kit: Kit) -> None:
    row = await an_execution(kit)
    kit.http.script = [response(404)]
    message = run_step_input(row, "http.get", URL)
    first, second = await kit.step_fails(message), await kit.step_fails(message)
    assert len(kit.http.sent) == 1
    assert (first.type, first.non_retryable, first.details) == ("http_status", True, second.details)


async def test_next_attempt_does_it_again(kit: Kit) -> None:
    row = await an_execution(kit)
    await kit.step(run_step_input(row, "http.get", URL))
    await kit.step(run_step_input(row, "http.get", URL, attempt=2))
    assert len(kit.http.sent) == 2


async def test_tries_are_counted_here(kit: Kit) -> None:
    row = await an_execution(kit)
    kit.http.script = [response(503), response(503), response(503, retry_after="30"), response(200)]
    message = run_step_input(row, "http.get", URL, tries=3, delay_seconds=2.0, exponential=True)
    told = [await kit.step_fails(message) for _ in range(3)]
    assert [(error.non_retryable, error.next_retry_delay) for error in told] == [
        (False, timedelta(seconds=2)),
        (False, timedelta(seconds=4)),
        (True, None),
    ]
    record = await kit.step_row(row.id, "step")
    assert (record.status, record.tries) == (StepStatus.FAILED, 3)
    assert (record.error or {})["retry_after"] == 30.0
    assert len(kit.http.sent) == 3


async def test_retry_after_lengthens_the_next_try(kit: Kit) -> None:
    row = await an_execution(kit)
    kit.http.script = [response(429, retry_after="30"), response(200)]
    message = run_step_input(row, "http.get", URL, tries=2, delay_seconds=2.0)
    error = await kit.step_fails(message)
    assert error.next_retry_delay == timedelta(seconds=30)
    assert (await kit.step_row(row.id, "step")).status == StepStatus.RUNNING
    assert (await kit.step(message))["status"] == 200
    record = await kit.step_row(row.id, "step")
    assert (record.status, record.tries, record.error) == (StepStatus.SUCCEEDED, 2, None)


async def test_lost_worker_spends_no_try(database: Database) -> None:
    """Killed in mid-call, twice: no record, so that the two tries are still there."""
    calls: list[int] = []

    async def act(_: ActionContext) -> None:
        calls.append(1)
        if len(calls) <= 2:
            raise asyncio.CancelledError
        raise StepFailed("away", code="connection_error", transient=True)

    kit = Kit(database, plugins=plugin(act))
    row = await an_execution(kit)
    message = run_step_input(row, "acme.act", {}, tries=2)
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await kit.step(message)
    assert not (await kit.step_fails(message)).non_retryable
    assert (await kit.step_fails(message)).non_retryable


async def test_failure_that_no_try_mends_is_final_at_once(kit: Kit) -> None:
    row = await an_execution(kit)
    kit.http.script = [response(404, "nothing", content_type="text/plain"), response(200)]
    error = await kit.step_fails(run_step_input(row, "http.get", URL, tries=3))
    assert error.non_retryable
    assert error.details[0]["details"]["body"] == "nothing"


async def test_timeout_of_the_step(database: Database) -> None:
    async def act(_: ActionContext) -> None:
        await asyncio.sleep(5)

    kit = Kit(database, plugins=plugin(act))
    row = await an_execution(kit)
    error = await kit.step_fails(run_step_input(row, "acme.act", {}, timeout_seconds=0.05, tries=2))
    assert (error.type, error.message, error.non_retryable) == ("timeout", "acme.act took longer than 0.05 s", False)


async def test_output_that_is_too_large(database: Database) -> None:
    async def act(_: ActionContext) -> str:
        return "x" * (steps_module.LARGEST_OUTPUT + 1)

    kit = Kit(database, plugins=plugin(act))
    row = await an_execution(kit)
    error = await kit.step_fails(run_step_input(row, "acme.act", {}, tries=3))
    assert (error.type, error.non_retryable) == ("output_too_large", True)
    assert (await kit.step_row(row.id, "step")).output is None


@pytest.mark.parametrize("local", [True, False])
async def test_bug_in_an_action_is_a_failed_step(database: Database, local: bool) -> None:
    async def act(_: ActionContext) -> None:
        raise ZeroDivisionError("a\x00b")

    kit = Kit(database, plugins=plugin(act, local=local))
    row = await an_execution(kit)
    error = await kit.step_fails(run_step_input(row, "acme.act", {}, tries=3))
    assert (error.type, error.message, error.non_retryable) == ("internal_error", "ZeroDivisionError: a\ufffdb", True)
    assert (await kit.step_row(row.id, "step")).status == StepStatus.FAILED


async def test_output_that_is_no_json_is_a_failed_step(database: Database) -> None:
    async def act(_: ActionContext) -> object:
        return {1, 2}

    kit = Kit(database, plugins=plugin(act))
    error = await kit.step_fails(run_step_input(await an_execution(kit), "acme.act", {}))
    assert (error.type, error.non_retryable) == ("internal_error", True)


async def test_unknown_action_fails_by_name(kit: Kit) -> None:
    row = await an_execution(kit)
    error = await kit.step_fails(run_step_input(row, "acme.frobnicate", {}, tries=3))
    assert (error.type, error.message) == ("unknown_action", "There is no action acme.frobnicate here")
    assert error.details[0]["permanent"]


async def test_inputs_that_do_not_fit_are_named_without_their_values(kit: Kit) -> None:
    row = await an_execution(kit)
    error = await kit.step_fails(run_step_input(row, "http.get", {"url": ["https://private"], "nope": 1}))
    assert error.type == "invalid_input"
    assert "url: " in error.message
    assert "nope: " in error.message
    assert "private" not in error.message


# Secrets


async def test_secret_reaches_the_action_and_nothing_else(kit: Kit) -> None:
    made, row = await secretive(kit)
    kit.http.script = [response(200, '{"echo": "pa55-word", "cGE1NS13b3Jk": 1}', content_type="application/json")]
    marker = secret_marker("password", kit.deployments.marker_mac(made.deployment.id, "password"))
    inputs = URL | {"headers": {"X-Key": marker, "X-Text": {PARTS: ["key ", marker]}}}
    output = await kit.step(run_step_input(row, "http.get", inputs, connection="shop"))
    sent = dict(kit.http.sent[0].headers)
    assert (sent["X-Key"], sent["X-Text"], sent["Authorization"]) == ("pa55-word", "key pa55-word", f"Bearer {TOKEN}")
    assert output["body"] == {"echo": MASK, MASK: 1}
    record = await kit.step_row(row.id, "step")
    kept = KEYRING.decrypt_json(record.inputs or b"", f"steps/{row.id}/1/step/inputs")
    assert kept["headers"] == {"X-Key": MASK, "X-Text": f"key {MASK}"}


async def test_secret_is_masked_in_errors_and_logs(database: Database) -> None:
    async def act(context: ActionContext) -> None:
        assert context.connection is not None
        token = context.connection.values["token"]
        context.log("info", f"using {token}")
        raise StepFailed(f"refused {token}", code="refused", details={"sent": [token]})

    kit = Kit(database, plugins=plugin(act))
    _, row = await secretive(kit)
    error = await kit.step_fails(run_step_input(row, "acme.act", {}, connection="shop"))
    assert (error.message, error.details[0]["details"]) == (f"refused {MASK}", {"sent": [MASK]})
    assert await kit.lines(row.id) == [f"using {MASK}"]
    assert (await kit.step_row(row.id, "step")).error == error.details[0]


async def test_forged_marker_stays_data(kit: Kit) -> None:
    made, row = await secretive(kit)
    other = kit.deployments.marker_mac("dep_other", "password")
    forged = [secret_marker("password", mac) for mac in ("", "guess", other)]
    output = await kit.step(run_step_input(row, "data.object", {"values": {"forged": forged}}))
    assert output == {"forged": forged}
    assert made.deployment.id == row.deployment_id


async def test_connection_that_is_not_configured(kit: Kit) -> None:
    row = await an_execution(kit)
    error = await kit.step_fails(run_step_input(row, "http.get", URL, connection="shop"))
    assert (error.type, kit.http.sent) == ("connection_missing", [])


# State


async def test_concurrent_increments_lose_none(kit: Kit) -> None:
    made = await kit.made(ONE)
    rows = [await kit.accepted(made) for _ in range(20)]
    counted = await asyncio.gather(
        *(kit.step(run_step_input(row, "state.increment", {"key": "n", "scope": "instance"})) for row in rows)
    )
    assert sorted(counted) == list(range(1, 21))


async def test_state_is_applied_once_when_the_activity_is_repeated(kit: Kit) -> None:
    row = await an_execution(kit)
    message = run_step_input(row, "state.increment", {"key": "n"})
    assert [await kit.step(message), await kit.step(message)] == [1, 1]
    assert await kit.step(run_step_input(row, "state.get", {"key": "n"}, path="look")) == 1


async def test_state_of_a_flow_and_of_its_instance_are_two(kit: Kit) -> None:
    row = await an_execution(kit)
    await kit.step(run_step_input(row, "state.set", {"key": "n", "value": "flow"}, path="a"))
    await kit.step(run_step_input(row, "state.set", {"key": "n", "value": "inst", "scope": "instance"}, path="b"))
    assert await kit.step(run_step_input(row, "state.get", {"key": "n"}, path="c")) == "flow"
    held = {state.owner_id: state.value for state in await kit.rows(StateRow)}
    assert held.keys() == {row.instance_flow_id, row.instance_id}
    assert all(b"inst" not in (value or b"") for value in held.values())


async def test_failed_local_action_leaves_its_record_and_no_state(database: Database) -> None:
    async def act(context: ActionContext) -> None:
        await context.state.put("flow", "n", 99)
        context.log("warn", "about to fail")
        raise StepFailed("no", code="refused")

    kit = Kit(database, plugins=plugin(act, local=True))
    row = await an_execution(kit)
    await kit.step_fails(run_step_input(row, "acme.act", {}))
    assert (await kit.step_row(row.id, "step")).status == StepStatus.FAILED
    assert await kit.lines(row.id) == ["about to fail"]
    assert await kit.step(run_step_input(row, "state.get", {"key": "n"}, path="look")) is None


async def test_outside_action_has_no_state(database: Database) -> None:
    async def act(context: ActionContext) -> None:
        await context.state.get("flow", "n")

    kit = Kit(database, plugins=plugin(act))
    error = await kit.step_fails(run_step_input(await an_execution(kit), "acme.act", {}))
    assert error.type == "state_refused"


# Records


async def test_control_records_are_written_with_the_step_once(kit: Kit) -> None:
    row = await an_execution(kit)
    at = row.queued_at.isoformat()
    nap = StepRecord("nap", "nap", "Nap", "sleep", 1, "succeeded", at, at, inputs={"duration": "1s"})
    await kit.step(run_step_input(row, "log.write", {"message": "a"}, records=[nap]))
    await kit.step(run_step_input(row, "log.write", {"message": "b"}, path="next", records=[nap]))
    record = await kit.step_row(row.id, "nap")
    assert (record.component, record.action, record.name, record.status) == ("flow", "sleep", "Nap", "succeeded")
    assert KEYRING.decrypt_json(record.inputs or b"", f"steps/{row.id}/1/nap/inputs") == {"duration": "1s"}
    assert await kit.lines(row.id) == ["a", "b"]


async def test_replay_from_the_failed_step_copies_what_had_succeeded(kit: Kit) -> None:
    made = await kit.made(ONE)
    original, replay = await kit.accepted(made), await kit.accepted(made)
    kit.http.script = [response(200, "one"), response(500), response(200, "two")]
    first = await kit.step(run_step_input(original, "http.post", URL, path="a"))
    await kit.step_fails(run_step_input(original, "http.post", URL, path="b"))
    again = [run_step_input(replay, "http.post", URL, path=path, resume_from=original.id) for path in ("a", "b")]
    assert await kit.step(again[0]) == first
    assert (await kit.step(again[1]))["body"] == "two"
    assert len(kit.http.sent) == 3
    copied = await kit.step_row(replay.id, "a")
    assert KEYRING.decrypt_json(copied.output or b"", f"steps/{replay.id}/1/a/output") == first
    assert await kit.lines(replay.id) == ["POST api.example.com/orders answered 200"]


async def test_deleted_execution_ends_the_step(kit: Kit) -> None:
    row = await an_execution(kit)
    row.id = "exec_gone"
    for action, inputs in (("log.write", {"message": "a"}), ("http.get", URL)):
        error = await kit.step_fails(run_step_input(row, action, inputs))
        assert (error.type, error.non_retryable) == ("execution_gone", True)


async def test_lazy_inputs_are_evaluated_with_what_was_bound(kit: Kit) -> None:
    row = await an_execution(kit)
    to = {"template": "{{ item }}{{ steps.a }}", "bindings": {"steps.a": "{{ customer.name }}"}}
    message = run_step_input(row, "data.map", {"items": [1, 2]}, lazy={"to": to})
    assert await kit.step(message) == ["1{{ customer.name }}", "2{{ customer.name }}"]
    record = await kit.step_row(row.id, "step")
    kept = KEYRING.decrypt_json(record.inputs or b"", f"steps/{row.id}/1/step/inputs")
    assert kept == {"items": [1, 2], "to": "{{ item }}{{ steps.a }}"}


async def test_record_waits_for_a_database_that_is_away(postgres_url: str, postgres_cluster: Any) -> None:
    """The request has been sent; the database comes back within the time that its record is worth."""

    async def act(_: ActionContext) -> str:
        postgres_cluster.stop()
        return "done"

    database = Database(postgres_url)
    kit = Kit(database, plugins=plugin(act))
    row = await an_execution(kit)
    running = asyncio.create_task(kit.step(run_step_input(row, "acme.act", {})))
    await asyncio.sleep(1.2)
    assert not running.done()
    postgres_cluster.start()
    assert await asyncio.wait_for(running, 30) == "done"
    assert (await kit.step_row(row.id, "step")).status == StepStatus.SUCCEEDED
    await database.dispose()


async def test_local_try_gives_way_when_too_many_run(sqlite_database: Database) -> None:
    """Nothing has been sent and nothing recorded: the conductor goes on with a regular activity at once."""
    kit = Kit(sqlite_database)
    row = await an_execution(kit)
    kit.environment.info = replace(kit.environment.info, is_local=True)
    with ExitStack() as others:
        for number in range(MOST_LOCAL):
            others.enter_context(kit.pace.timed(("dep", "flow", str(number)), local=True))
        error = await kit.step_fails(run_step_input(row, "http.get", URL))
    assert (error.type, error.non_retryable, error.next_retry_delay) == ("busy", False, timedelta(milliseconds=1))
    assert kit.http.sent == []
    assert await kit.rows(StepRow) == []
