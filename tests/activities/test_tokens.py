import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from activities.connection_secrets import LiveConnection
from activities.connections import LiveConnections
from activities.tokens import Tokens
from activities.vault import Vault
from domain.connections import ConnectionStatus
from domain.errors import StepFailed, Unavailable
from domain.oauth import Token
from runtime.clock import utcnow
from store.connections import Connections
from store.engine import Database
from store.removal import Removal
from store.tables import DataKeyRow, EventRow, LogRow
from tests.activities.connecting import HOUR, a_connection, connected, connections_of, loopback_http, row_of, rows
from tests.factories import customer, saved
from tests.fixtures.oauth_server import OAuthServer, running_oauth_server
from tests.fixtures.temporal import KEYRING

ENDED = timedelta(seconds=-1)
SOON = timedelta(minutes=5)  # within the lead of an hour's token


@pytest.fixture
async def server() -> AsyncIterator[OAuthServer]:
    async with running_oauth_server() as server:
        yield server


@pytest.fixture
async def live(database: Database) -> AsyncIterator[LiveConnections]:
    async with connections_of(database) as live:
        yield live


@pytest.fixture
def tokens(live: LiveConnections) -> Tokens:
    return live.tokens


def text_of(live: LiveConnection) -> str:
    assert live.token is not None
    return live.token.access_token


async def test_token_that_lives_is_used_as_it_is(database: Database, server: OAuthServer, tokens: Tokens) -> None:
    row = await connected(database, server)
    found = await tokens.ready(row.id)
    assert (found.version, server.calls) == (1, [])


async def test_token_is_renewed_ahead_of_its_end(database: Database, server: OAuthServer, tokens: Tokens) -> None:
    row = await connected(database, server, ends=SOON)
    before = await tokens.read(row.id)
    found = await tokens.ready(row.id)
    assert server.calls == ["refresh_token"]
    assert text_of(found) != text_of(before)
    assert found.token is not None
    assert before.token is not None
    assert found.token.refresh_token != before.token.refresh_token
    kept = await row_of(database, row.id)
    assert (kept.token_version, kept.status, kept.lease_owner) == (2, ConnectionStatus.ACTIVE, None)
    assert kept.expires_at is not None
    assert kept.expires_at > utcnow() + timedelta(minutes=50)
    assert b"secret" not in (kept.tokens or b"")


async def test_refresh_token_is_kept_when_none_is_returned(
    database: Database, server: OAuthServer, tokens: Tokens
) -> None:
    server.rotates = False
    row = await connected(database, server, ends=ENDED)
    before = await tokens.read(row.id)
    found = await tokens.ready(row.id)
    assert found.token is not None
    assert before.token is not None
    assert found.token.refresh_token == before.token.refresh_token


@pytest.mark.parametrize("ends", [ENDED, SOON])
async def test_two_hundred_steps_in_two_processes_renew_once(
    database: Database, server: OAuthServer, ends: timedelta
) -> None:
    row = await connected(database, server, ends=ends)
    server.delay = 0.2
    async with connections_of(database) as one, connections_of(database) as other:
        found = await asyncio.gather(*(each.tokens.ready(row.id) for each in (one, other) for _ in range(100)))
        assert server.calls == ["refresh_token"]
        latest = await one.tokens.ready(row.id)
    texts = {text_of(each) for each in found}
    assert text_of(latest) in texts
    assert len(texts) == (1 if ends == ENDED else 2)  # ahead of the end, the old one serves those who do not renew


async def test_renewal_takes_over_from_a_holder_that_died(database: Database, server: OAuthServer) -> None:
    row = await connected(database, server, ends=ENDED)
    async with database.transaction() as session:
        now = utcnow()
        assert await Connections(session).lease(row.id, 1, "somebody dead", now, now + timedelta(seconds=1))
    async with loopback_http() as http:
        tokens = Tokens(database, Vault(KEYRING), http, lease=timedelta(seconds=1))
        found = await tokens.ready(row.id)
    assert (found.version, server.calls) == (2, ["refresh_token"])


async def test_answer_is_kept_when_all_who_wait_are_cancelled(
    database: Database, server: OAuthServer, tokens: Tokens
) -> None:
    row = await connected(database, server, ends=ENDED)
    server.gate = asyncio.Event()
    waiting = asyncio.create_task(tokens.ready(row.id))
    while not server.calls:
        await asyncio.sleep(0.01)
    waiting.cancel()
    server.gate.set()
    async with asyncio.timeout(5):
        while (await row_of(database, row.id)).token_version == 1:
            await asyncio.sleep(0.02)
    assert (await tokens.ready(row.id)).version == 2
    assert server.calls == ["refresh_token"]


class Shaky(Database):
    """Its transactions fail as often as it is told."""

    failures = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("The database is away.")
        async with super().transaction() as session:
            yield session


async def test_answer_waits_for_a_database_that_is_away(database: Database, server: OAuthServer) -> None:
    row = await connected(database, server, ends=ENDED)
    shaky = Shaky(database.url)
    server.gate = asyncio.Event()
    async with connections_of(shaky) as live:
        waiting = asyncio.create_task(live.tokens.ready(row.id))
        while not server.calls:
            await asyncio.sleep(0.01)
        shaky.failures = 2
        server.gate.set()
        assert ((await waiting).version, shaky.failures) == (2, 0)
    await shaky.dispose()
    assert server.calls == ["refresh_token"]


async def test_renewal_of_what_was_deleted_meanwhile_keeps_nothing(
    database: Database, server: OAuthServer, tokens: Tokens
) -> None:
    owner = customer()
    await saved(database, owner)
    row = await connected(database, server, ends=ENDED, customer_id=owner.id, owner=owner.id)
    server.gate = asyncio.Event()
    waiting = asyncio.create_task(tokens.ready(row.id))
    while not server.calls:
        await asyncio.sleep(0.01)
    async with database.transaction() as session:
        await Removal(session).customer(owner.id)
    server.gate.set()
    with pytest.raises(StepFailed, match="has been deleted"):
        await waiting
    assert await rows(database, DataKeyRow) == []


async def test_slow_writer_changes_nothing_after_a_new_authorisation(
    database: Database, server: OAuthServer, tokens: Tokens
) -> None:
    row = await connected(database, server, ends=ENDED)
    server.gate = asyncio.Event()
    waiting = asyncio.create_task(tokens.ready(row.id))
    while not server.calls:
        await asyncio.sleep(0.01)
    async with database.transaction() as session:
        await Connections(session).change(row.id, 1, token_version=7, expires_at=utcnow() + HOUR, refresh_at=None)
    server.gate.set()
    assert (await waiting).version == 7


async def test_invalid_grant_is_noted_once(database: Database, server: OAuthServer) -> None:
    row = await connected(database, server, ends=ENDED, name="Shop API")
    server.end_grants()
    async with connections_of(database) as one, connections_of(database) as other:
        waiting = [each.tokens.ready(row.id) for each in (one, other) for _ in range(20)]
        found = await asyncio.gather(*waiting, return_exceptions=True)
        with pytest.raises(StepFailed) as later:
            await one.tokens.ready(row.id)
    assert {each.code for each in found if isinstance(each, StepFailed)} == {"connection_needs_reauth"}
    assert len(found) == 40
    assert all("Shop API" in str(each) for each in found)
    assert later.value.code == "connection_needs_reauth"
    assert server.calls == ["refresh_token"]
    kept = await row_of(database, row.id)
    assert (kept.status, kept.lease_owner) == (ConnectionStatus.NEEDS_REAUTH, None)
    assert "invalid_grant" in (kept.error or "")
    assert [(event.action, event.object_id) for event in await rows(database, EventRow)] == [
        ("connection.needs_reauth", row.id)
    ]
    (line,) = await rows(database, LogRow)
    assert (line.type, line.severity) == ("connection", 4)
    assert line.message.startswith("Shop API must be authorised again")


async def test_expired_token_without_refresh_token_needs_a_person(
    database: Database, server: OAuthServer, tokens: Tokens
) -> None:
    row = await a_connection(database, server.values(), Token("access-x-secret"), utcnow() - HOUR)
    with pytest.raises(StepFailed) as caught:
        await tokens.ready(row.id)
    assert (caught.value.code, server.calls) == ("connection_needs_reauth", [])
    assert (await row_of(database, row.id)).status == ConnectionStatus.NEEDS_REAUTH


@pytest.mark.parametrize(
    ("answer", "transient", "status"),
    [
        ((503, "<html>"), True, ConnectionStatus.ACTIVE),
        ((429, {"error": "slow_down"}), True, ConnectionStatus.ACTIVE),
        ((200, "access_token=a&token_type=bearer"), True, ConnectionStatus.ACTIVE),
        ((400, {"error": "temporarily_unavailable"}), True, ConnectionStatus.ACTIVE),
        ((401, {"error": "invalid_client"}), False, ConnectionStatus.ERROR),
        ((200, {"error": "<b>unknown</b>"}), False, ConnectionStatus.ERROR),
        ((200, {"token_type": "bearer"}), False, ConnectionStatus.ERROR),
        ((200, {"access_token": "a", "token_type": "DPoP"}), False, ConnectionStatus.ERROR),
    ],
)
async def test_failed_renewal_says_whether_another_try_helps(
    sqlite_database: Database, server: OAuthServer, answer: tuple[int, str], transient: bool, status: ConnectionStatus
) -> None:
    row = await connected(sqlite_database, server, ends=ENDED, name="Shop API")
    server.script = [answer]
    async with connections_of(sqlite_database) as live:
        with pytest.raises(StepFailed) as caught:
            await live.tokens.ready(row.id)
        assert (caught.value.code, caught.value.transient) == ("connection_error", transient)
        kept = await row_of(sqlite_database, row.id)
        assert (kept.status, kept.lease_owner) == (status, None)
        assert "<b>" not in f"{kept.error}{caught.value.message}"
        assert (await live.tokens.ready(row.id)).version == 2  # the lease is free, and the refresh token still good
    assert (await row_of(sqlite_database, row.id)).status == ConnectionStatus.ACTIVE


async def test_token_serves_on_while_the_provider_is_away(sqlite_database: Database, server: OAuthServer) -> None:
    row = await connected(sqlite_database, server, ends=SOON)
    server.script = [(503, "")] * 5
    async with connections_of(sqlite_database) as live:
        assert [(await live.tokens.ready(row.id)).version for _ in range(3)] == [1, 1, 1]
    assert server.calls == ["refresh_token"]  # and not at every step


async def test_token_endpoint_on_a_private_address_is_not_called(sqlite_database: Database) -> None:
    values = OAuthServer().values(token_url="http://169.254.169.254/token", grant="client_credentials")
    row = await a_connection(sqlite_database, values, None)
    async with connections_of(sqlite_database) as live:
        with pytest.raises(StepFailed) as caught:
            await live.tokens.ready(row.id)
    assert (caught.value.code, caught.value.permanent) == ("connection_error", True)


@pytest.mark.parametrize("client_auth", ["basic", "post"])
async def test_client_credentials_are_fetched_on_demand_and_again(
    sqlite_database: Database, server: OAuthServer, client_auth: str
) -> None:
    values = server.values(grant="client_credentials", client_auth=client_auth)
    row = await a_connection(sqlite_database, values, None)
    async with connections_of(sqlite_database) as live:
        first = await live.tokens.ready(row.id)
        assert (await live.tokens.ready(row.id)).version == first.version == 1
        async with sqlite_database.transaction() as session:
            await Connections(session).change(row.id, 1, expires_at=utcnow(), refresh_at=utcnow())
        assert (await live.tokens.ready(row.id)).version == 2
    assert server.calls == ["client_credentials"] * 2


async def test_connection_that_nobody_has_authorised_says_so(sqlite_database: Database, server: OAuthServer) -> None:
    row = await a_connection(sqlite_database, server.values(), None, name="Shop API", status=ConnectionStatus.PENDING)
    async with connections_of(sqlite_database) as live:
        with pytest.raises(StepFailed, match="Shop API is not connected") as caught:
            await live.tokens.ready(row.id)
    assert caught.value.code == "connection_not_connected"


async def test_token_without_an_end_is_never_renewed_ahead(sqlite_database: Database, server: OAuthServer) -> None:
    server.expires_in = None
    row = await connected(sqlite_database, server, ends=None)
    async with connections_of(sqlite_database) as live:
        assert (await live.tokens.ready(row.id)).version == 1
        assert (await live.tokens.tried(row.id)).version == 2
    assert (await row_of(sqlite_database, row.id)).expires_at is None


async def test_nothing_is_renewed_inside_a_transaction(sqlite_database: Database, server: OAuthServer) -> None:
    soon = await connected(sqlite_database, server, ends=SOON)
    ended = await connected(sqlite_database, server, ends=ENDED)
    async with connections_of(sqlite_database) as live, sqlite_database.transaction() as session:
        assert (await live.tokens.ready(soon.id, session)).version == 1
        with pytest.raises(StepFailed, match="local action"):
            await live.tokens.ready(ended.id, session)
    assert server.calls == []
