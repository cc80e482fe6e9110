"""Connections of a provider that really answers, with tokens in any state."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

from sqlalchemy import select

from activities.connection_secrets import ConnectionSecrets
from activities.connections import LiveConnections
from activities.deployments import secrets_context
from activities.vault import Vault
from domain.connections import OAUTH2, ConnectionStatus, complete
from domain.definitions.model import Definition
from domain.oauth import Token
from runtime.clock import utcnow
from runtime.http import GuardedHttp
from store.engine import Database
from store.tables import Base, ConnectionRow, DeploymentRow
from tests.activities.kit import Kit
from tests.factories import STAMPS, Deployed, an_id
from tests.fixtures.oauth_server import OAuthServer
from tests.fixtures.temporal import KEYRING

HOUR = timedelta(hours=1)


@asynccontextmanager
async def loopback_http() -> AsyncIterator[GuardedHttp]:
    http = GuardedHttp([ip_network("127.0.0.0/8")])
    yield http
    await http.aclose()


@asynccontextmanager
async def connections_of(database: Database) -> AsyncIterator[LiveConnections]:
    """As one process has them."""
    async with loopback_http() as http:
        yield LiveConnections(database, Vault(KEYRING), http)


async def connected(
    database: Database, server: OAuthServer, *, ends: timedelta | None = HOUR, **given: Any
) -> ConnectionRow:
    """A reusable connection of the organisation, whose token ends in a while, or has ended."""
    answer = server.grant()
    token = Token(answer["access_token"], answer["refresh_token"], expires_in=HOUR)
    return await a_connection(database, server.values(), token, utcnow() + ends if ends is not None else None, **given)


async def a_connection(
    database: Database, values: dict[str, Any], token: Token | None, ends_at: datetime | None = None, **given: Any
) -> ConnectionRow:
    fresh = an_id("conn")
    usual = STAMPS | {"id": fresh, "kind": OAUTH2, "name": fresh, "owner": "organization", "token_version": 0}
    usual |= {"status": ConnectionStatus.ACTIVE, "revision": 1}
    row = ConnectionRow(**usual | given)
    secrets = ConnectionSecrets(Vault(KEYRING))
    async with database.transaction() as session:
        columns = await secrets.seal_values(session, row, complete(row.kind, values))
        if token is not None:
            columns |= await secrets.seal_token(session, row, token, utcnow())
            columns |= {"expires_at": ends_at, "refresh_at": ends_at and ends_at - timedelta(minutes=6)}
        for column, value in (columns | given).items():
            setattr(row, column, value)
        session.add(row)
    return row


async def deployed_with(kit: Kit, wanted: Definition, connection_id: str, **held: Any) -> Deployed:
    """An instance whose deployment has this connection as `shop`."""
    made = await kit.made(wanted)
    hidden = {"connections": {"shop": {"kind": OAUTH2, "hosts": None, "connection_id": connection_id} | held}}
    async with kit.database.transaction() as session:
        row = await session.get_one(DeploymentRow, made.deployment.id)
        row.secrets = KEYRING.encrypt_json(hidden, secrets_context(row.id))
    return made


async def row_of(database: Database, connection_id: str) -> ConnectionRow:
    async with database.snapshot() as session:
        return await session.get_one(ConnectionRow, connection_id)


async def rows(database: Database, table: type[Base]) -> list[Any]:
    async with database.snapshot() as session:
        return list(await session.scalars(select(table)))
