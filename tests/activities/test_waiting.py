"""Executions that wait for a connection: the step's record, the ledger's word, who is told and in which order."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from sqlalchemy import select
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.waiting import WaitActivities, tell_waiting
from domain.connections import ConnectionStatus
from domain.messages import WaitInput
from store.connections import Connections
from store.engine import Database
from store.tables import ExecutionRow
from store.waiting import WaitingExecutions
from tests import factories
from tests.activities.connecting import a_connection, connected, loopback_http, row_of
from tests.activities.kit import Kit
from tests.activities.test_connections import call, using
from tests.fakes import ScriptedHttp
from tests.fixtures.oauth_server import OAuthServer, running_oauth_server


@pytest.fixture
async def server() -> AsyncIterator[OAuthServer]:
    async with running_oauth_server() as server:
        yield server


@pytest.fixture
async def kit(database: Database) -> AsyncIterator[Kit]:
    async with loopback_http() as http:
        yield Kit(database, http=cast(ScriptedHttp, http))


class Signals:
    """Temporal, as far as a signal goes; it knows nothing of what is in `gone`."""

    def __init__(self, *gone: str) -> None:
        self.gone, self.told = gone, list[str]()

    def get_workflow_handle(self, workflow_id: str) -> Any:
        signals = self

        class Handle:
            async def signal(self, _: str) -> None:
                if workflow_id in signals.gone:
                    raise RPCError("gone", RPCStatusCode.NOT_FOUND, b"")
                signals.told.append(workflow_id)

        return Handle()


async def executions(database: Database, number: int) -> list[str]:
    async with database.transaction() as session:
        made = await factories.deployed(session)
        rows = [factories.execution(made.instance, made.flow, status="running") for _ in range(number)]
        await factories.save(session, *rows)
    return [row.id for row in rows]


async def status(database: Database, connection_id: str, value: str) -> None:
    async with database.transaction() as session:
        assert await Connections(session).change(connection_id, 0, status=value)


async def waiting(database: Database) -> dict[str, tuple[str | None, str | None]]:
    query = select(ExecutionRow.id, ExecutionRow.reason, ExecutionRow.waiting_connection_id)
    async with database.snapshot() as session:
        return {row[0]: (row[1], row[2]) for row in await session.execute(query.order_by(ExecutionRow.id))}


async def test_step_that_waits_is_still_running_and_has_spent_no_try(kit: Kit, server: OAuthServer) -> None:
    made = await connected(kit.database, server)
    row = await using(kit, made.id)
    server.end_grants()
    server.revoke_access()
    for _ in range(2):
        failure = await kit.step_fails(call(row, server, waits=True))
        assert (failure.type, failure.non_retryable) == ("connection_needs_reauth", True)
        assert failure.details[0]["connection_id"] == made.id
        record = await kit.step_row(row.id, "step")
        assert (record.status, record.tries) == ("running", 0)


async def test_step_waits_when_its_target_takes_no_token_at_all(kit: Kit, server: OAuthServer) -> None:
    made = await connected(kit.database, server)
    row = await using(kit, made.id)
    server.refuses = True
    failure = await kit.step_fails(call(row, server, waits=True))
    assert failure.details[0]["connection_id"] == made.id
    server.refuses = False
    assert (await kit.step(call(row, server, waits=True)))["status"] == 200
    record = await kit.step_row(row.id, "step")
    assert (record.status, record.tries, record.error) == ("succeeded", 1, None)


async def test_other_failures_do_not_wait(kit: Kit, server: OAuthServer) -> None:
    made = await connected(kit.database, server)
    row = await using(kit, made.id, hosts=["api.example.com"])
    failure = await kit.step_fails(call(row, server, waits=True))
    assert (failure.type, failure.details[0]["connection_id"]) == ("egress_denied", None)


@pytest.mark.parametrize(
    ("found", "probe", "over", "waits"),
    [
        (ConnectionStatus.NEEDS_REAUTH, False, False, True),
        (ConnectionStatus.NEEDS_REAUTH, True, False, True),
        (ConnectionStatus.NEEDS_REAUTH, True, True, False),
        (ConnectionStatus.PENDING, True, False, True),
        (ConnectionStatus.ERROR, False, False, True),
        (ConnectionStatus.ERROR, True, False, False),
        (ConnectionStatus.ACTIVE, False, False, False),
        (None, False, False, False),
    ],
)
async def test_wait_ends_when_the_connection_works_or_is_worth_a_try(
    database: Database, found: ConnectionStatus | None, probe: bool, over: bool, waits: bool
) -> None:
    (execution_id,) = await executions(database, 1)
    connection_id = "conn_gone"
    if found is not None:
        connection_id = (await a_connection(database, {}, None, kind="http/bearer", status=found)).id
    message = WaitInput(execution_id, 1, connection_id, probe=probe, over=over)
    assert await WaitActivities(database).wait_for_connection(message) is waits
    wanted = ("waiting_connection", connection_id) if waits else (None, None)
    assert await waiting(database) == {execution_id: wanted}


async def test_those_who_wait_are_told_in_their_order_once(database: Database) -> None:
    first = (await a_connection(database, {}, None, kind="http/bearer", status="needs_reauth")).id
    other = (await a_connection(database, {}, None, kind="http/bearer", status="needs_reauth")).id
    ids = await executions(database, 4)
    for execution_id, connection_id in zip(reversed(ids), (first, first, first, other), strict=True):
        await WaitActivities(database).wait_for_connection(WaitInput(execution_id, 1, connection_id))
    signals = Signals(ids[2])
    client = cast(Client, signals)
    assert await tell_waiting(client, database, 10) == 0
    async with database.snapshot() as session:
        assert await WaitingExecutions(session).counts([first, other]) == {first: 3, other: 1}

    await status(database, first, "active")
    assert await tell_waiting(client, database, 2) == 2  # of three: the rest at the next look
    assert signals.told == [ids[1]]  # the other one has ended behind our back
    assert await tell_waiting(client, database, 10) == 1
    assert await tell_waiting(client, database, 10) == 0
    assert signals.told == [ids[1], ids[3]]
    assert (await waiting(database))[ids[0]] == ("waiting_connection", other)


async def test_step_waits_for_other_fixed_inputs_of_a_reusable_connection(kit: Kit, server: OAuthServer) -> None:
    made = await a_connection(kit.database, {"token": "old"}, None, kind="http/bearer")
    row = await using(kit, made.id, kind="http/bearer")
    server.refuses = True
    failure = await kit.step_fails(call(row, server, waits=True))
    assert failure.details[0]["connection_id"] == made.id
    assert (await row_of(kit.database, made.id)).status == "error"
    server.refuses = False
    server.accept("old")
    assert (await kit.step(call(row, server, waits=True)))["status"] == 200
    assert (await row_of(kit.database, made.id)).status == "active"
