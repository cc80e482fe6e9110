"""The connection of a step: pinned by its deployment, or read live, with a token that is renewed on a target's 401."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from activities.connection_secrets import LiveConnection
from activities.tokens import Tokens
from activities.vault import Vault
from components.base import Connection
from domain.connections import OAUTH2, secret_texts
from domain.errors import StepFailed
from domain.http import HttpSender, IncomingResponse, OutgoingRequest
from store.engine import Database


class Configured(Protocol):
    """A deployment, or what a configuration that is not deployed yet comes to."""

    @property
    def customer_id(self) -> str: ...

    @property
    def connections(self) -> Mapping[str, dict[str, Any]]:
        """By key: kind and hosts, and values or a connection_id."""
        ...


NEEDS_A_PERSON = frozenset({"connection_needs_reauth", "connection_not_connected"})


@dataclass
class Resolved:
    """What an action gets. `hidden` are all texts to mask, those of tokens that came meanwhile too."""

    connection: Connection | None
    http: HttpSender
    hidden: list[str] = field(default_factory=list)


class LiveConnections:
    def __init__(self, database: Database, vault: Vault, http: HttpSender) -> None:
        self._http = http
        self.tokens = Tokens(database, vault, http)

    async def resolve(self, deployment: Configured, key: str | None, session: AsyncSession | None = None) -> Resolved:
        """Of a step's connection. One that the deployment holds costs nothing. Raises StepFailed."""
        if key is None:
            return Resolved(None, self._http)
        held = deployment.connections.get(key)
        if held is None:
            raise StepFailed(f"The connection {key} is not configured", code="connection_missing", permanent=True)
        hosts = tuple(held["hosts"]) if held.get("hosts") else None
        if "connection_id" not in held:
            connection = Connection(key, held["kind"], held["values"], hosts)
            return Resolved(connection, self._http, secret_texts(connection.kind, connection.values))
        live = await self.tokens.ready(held["connection_id"], session)
        _ensure_allowed(live, deployment, key)
        return self.use(live, key, hosts)

    def use(self, live: LiveConnection, key: str, hosts: tuple[str, ...] | None) -> Resolved:
        if live.row.kind != OAUTH2 or live.token is None:
            connection = Connection(key, live.row.kind, live.values, hosts)
            http: HttpSender = RefusableHttp(self._http, self.tokens, live)
            return Resolved(connection, http, secret_texts(connection.kind, connection.values))
        # Nothing else of it: an action has no use for the client's secret.
        shown = {"access_token": live.token.access_token, "token_type": live.token.token_type}
        hidden = [live.token.access_token]
        http = RenewingHttp(self._http, self.tokens, live, hidden)
        return Resolved(Connection(key, OAUTH2, shown, hosts), http, hidden)


class RefusableHttp:
    """Notes when a target answers 401 to the fixed inputs of a reusable connection, and when it takes them again."""

    def __init__(self, http: HttpSender, tokens: Tokens, live: LiveConnection) -> None:
        self._http = http
        self._tokens = tokens
        self._live = live
        self.is_refused = False

    async def send(self, request: OutgoingRequest) -> IncomingResponse:
        response = await self._http.send(request)
        if not (request.secret_headers or request.secret_query):
            return response
        if response.status == 401:
            self.is_refused = True
            await self._tokens.refused(self._live)
        elif response.status < 400 and self._live.row.refused_version == self._live.version:
            await self._tokens.accepted(self._live)
        return response


class RenewingHttp:
    """Sends a request a second time, once, with a new token, when the target answers 401 to the one it carries."""

    def __init__(self, http: HttpSender, tokens: Tokens, live: LiveConnection, hidden: list[str]) -> None:
        self._http = http
        self._tokens = tokens
        self._first = self._live = live
        self._hidden = hidden
        self.is_refused = False  # the target takes no token of this connection, not even a new one

    async def send(self, request: OutgoingRequest) -> IncomingResponse:
        used = self._live
        response = await self._http.send(self._with_token(request))
        if not self._carries_token(request):
            return response
        if response.status != 401:
            if used.row.refused_version == used.version and response.status < 400:
                await self._tokens.accepted(used)
            return response
        renewed = await self._tokens.renewed(used.id, used.version)
        if renewed is None or renewed.token is None:
            await self._refused(used)
            return response
        self._live = renewed
        self._hidden.append(renewed.token.access_token)
        again = await self._http.send(self._with_token(request))
        if again.status == 401:
            await self._refused(renewed)
        return again

    async def _refused(self, live: LiveConnection) -> None:
        self.is_refused = True
        await self._tokens.refused(live)

    def _carries_token(self, request: OutgoingRequest) -> bool:
        token = _text(self._first)
        return any(token in value for name, value in request.headers if name.lower() in request.secret_headers)

    def _with_token(self, request: OutgoingRequest) -> OutgoingRequest:
        """The action wrote the token that it was given; by now there may be another one."""
        old, new = _text(self._first), _text(self._live)
        if old == new or not self._carries_token(request):
            return request
        headers = [
            (name, value.replace(old, new) if name.lower() in request.secret_headers else value)
            for name, value in request.headers
        ]
        return replace(request, headers=headers)


def failing(deployment: Configured, key: str | None, code: str, found: Resolved | None) -> str | None:
    """The connection that has made a step fail with `code`, if it is one that people can make work again."""
    refused = found is not None and isinstance(found.http, RenewingHttp | RefusableHttp) and found.http.is_refused
    if key is None or not (refused or code in NEEDS_A_PERSON):
        return None
    connection_id: str | None = deployment.connections.get(key, {}).get("connection_id")
    return connection_id


def _text(live: LiveConnection) -> str:
    return live.token.access_token if live.token else ""


def _ensure_allowed(live: LiveConnection, deployment: Configured, key: str) -> None:
    """The deploy has looked already; a secret of one customer's must never serve another."""
    if live.row.customer_id not in (None, deployment.customer_id):
        raise StepFailed(f"The connection {key} is not configured", code="connection_missing", permanent=True)
