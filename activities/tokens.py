"""OAuth tokens kept fresh: renewed ahead of their end, by one at a time in all processes, and never twice.

In a process the first who needs a renewal makes a flight that others join; between processes a lease on the row
decides. It lasts longer than a token request may take, so its holder is done, or dead, when another one takes over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from activities import oauth
from activities.connection_secrets import ConnectionSecrets, LiveConnection, note_error, note_event, note_line, shown
from activities.vault import Vault
from domain.connections import OAUTH2, ConnectionStatus
from domain.errors import StepFailed, Unavailable
from domain.http import HttpSender
from domain.logs import SEVERITIES
from domain.oauth import CLIENT_CREDENTIALS, Token
from runtime.clock import utcnow
from runtime.ids import new_id
from runtime.metrics import TOKEN_REQUESTS
from store.connections import Connections
from store.engine import Database

LEASE = timedelta(seconds=2 * oauth.TIMEOUT)
POLL = 0.1  # seconds between two looks at a lease that somebody else has
PAUSE = timedelta(seconds=30)  # after a failure, while the token in hand still lives
WRITING_PATIENCE = 60.0  # seconds that a new token waits for a database that is away

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Tokens:
    def __init__(self, database: Database, vault: Vault, http: HttpSender, lease: timedelta = LEASE) -> None:
        self._database = database
        self._secrets = ConnectionSecrets(vault)
        self._http = http
        self._lease = lease
        self._flights: dict[str, asyncio.Task[LiveConnection]] = {}

    async def read(self, connection_id: str, session: AsyncSession | None = None) -> LiveConnection:
        """As it is now. Raises StepFailed when it has been deleted."""
        if session is None:
            async with self._database.glance() as session:
                return await self.read(connection_id, session)
        row = await Connections(session).get(connection_id)
        if row is None:
            raise StepFailed("The connection has been deleted", code="connection_missing", permanent=True)
        return await self._secrets.read(session, row)

    async def ready(self, connection_id: str, session: AsyncSession | None = None) -> LiveConnection:
        """To be used at once: an OAuth connection has a token that lives.

        Inside a transaction (`session`) nothing is renewed: that takes one of its own. Raises StepFailed.
        """
        live = await self.read(connection_id, session)
        if live.row.kind != OAUTH2:
            return live
        ensure_authorized(live)
        now = utcnow()
        if not live.is_due(now):
            return live
        usable = live.is_usable(now)
        if usable and (session is not None or connection_id in self._flights or live.is_leased(now)):
            return live  # somebody else renews it
        if session is not None:
            raise StepFailed(
                f"The connection {live.label} cannot be renewed by a local action", code="connection_error"
            )
        try:
            return await self._joined(live)
        except StepFailed:
            if usable and (await self.read(connection_id)).row.status != ConnectionStatus.NEEDS_REAUTH:
                return live
            raise

    async def renewed(self, connection_id: str, used: int) -> LiveConnection | None:
        """After a target refused the token of version `used`: another token, if there can be one."""
        live = await self.read(connection_id)
        ensure_authorized(live)
        if live.version != used:
            return live
        if live.row.refused_version == used or not _is_renewable(live):
            return None
        try:
            return await self._joined(live)
        except StepFailed:
            ensure_authorized(await self.read(connection_id))
            return None

    async def tried(self, connection_id: str) -> LiveConnection:
        """A new token in any case, where one can be had without a person. Raises StepFailed."""
        live = await self.read(connection_id)
        if live.row.kind != OAUTH2:
            return live
        ensure_authorized(live)
        if live.is_usable(utcnow()) and not _is_renewable(live):
            return live
        return await self._joined(live)

    async def refused(self, live: LiveConnection) -> None:
        """Its token is refused although it is new, or cannot be renewed."""
        message = "The service refuses the token with 401"
        async with self._database.transaction() as session:
            values = {"status": ConnectionStatus.ERROR, "error": message, "refused_version": live.version}
            if await Connections(session).change(live.id, live.version, **values) and live.row.error != message:
                await note_line(session, live.row, SEVERITIES.index("error"), f"{live.label}: {message}")
                note_error(session, live.row, message)

    async def accepted(self, live: LiveConnection) -> None:
        """A target takes a token that another one, or the same one earlier, refused."""
        async with self._database.transaction() as session:
            values = {"status": ConnectionStatus.ACTIVE, "error": None, "refused_version": None}
            await Connections(session).change(live.id, live.version, **values)

    # Renewing

    async def _joined(self, live: LiveConnection) -> LiveConnection:
        """A flight goes on when those who wait for it are cancelled: an answer that is on its way must be kept."""
        flight = self._flights.get(live.id)
        if flight is None:
            flight = asyncio.create_task(self._fly(live.id, live.version))
            self._flights[live.id] = flight
            flight.add_done_callback(partial(self._landed, live.id))
        return await asyncio.shield(flight)

    def _landed(self, connection_id: str, flight: asyncio.Task[LiveConnection]) -> None:
        del self._flights[connection_id]
        if not flight.cancelled():
            flight.exception()  # whoever waited has it

    async def _fly(self, connection_id: str, version: int) -> LiveConnection:
        owner = new_id("lease")
        deadline = asyncio.get_running_loop().time() + 2 * self._lease.total_seconds()
        while True:
            live = await self.read(connection_id)
            ensure_authorized(live)
            if live.version != version:
                return live
            if await self._leased(live, owner):
                return await self._renew(live, owner)
            if asyncio.get_running_loop().time() > deadline:
                raise _without_token(live, StepFailed("somebody else takes too long to renew it", transient=True))
            await asyncio.sleep(POLL)

    async def _leased(self, live: LiveConnection, owner: str) -> bool:
        now = utcnow()
        if live.is_leased(now):
            return False
        async with self._database.transaction() as session:
            return await Connections(session).lease(live.id, live.version, owner, now, now + self._lease)

    async def _renew(self, live: LiveConnection, owner: str) -> LiveConnection:
        asked_at = utcnow()
        try:
            token = await self._ask(live)
        except StepFailed as error:
            TOKEN_REQUESTS.labels(outcome="passing" if error.transient else error.code).inc()
            await _persistently(partial(self._note_failure, live, owner, error))
            raise _without_token(live, error) from error

        async def keep() -> None:
            async with self._database.transaction() as session:
                if await Connections(session).get(live.id, for_update=True) is None:
                    return  # deleted meanwhile: a key that its customer had must not be made anew
                values = await self._secrets.seal_token(session, live.row, token, asked_at)
                await Connections(session).change(live.id, live.version, **values)

        await _persistently(keep)  # before anything else: the old refresh token may be worth nothing now
        TOKEN_REQUESTS.labels(outcome="renewed").inc()
        return await self.read(live.id)

    async def _ask(self, live: LiveConnection) -> Token:
        if live.values["grant"] == CLIENT_CREDENTIALS:
            return await oauth.client_credentials(self._http, live.values)
        if live.token is None or live.token.refresh_token is None:
            raise StepFailed("the token has expired, and there is no refresh token", code=oauth.REAUTH)
        return await oauth.refresh(self._http, live.values, live.token)

    async def _note_failure(self, live: LiveConnection, owner: str, error: StepFailed) -> None:
        async with self._database.transaction() as session:
            connections = Connections(session)
            if error.code == oauth.REAUTH:
                await self._give_up(session, live, error)
            elif error.transient:
                await connections.release(live.id, owner, refresh_at=utcnow() + PAUSE)
            else:
                values = {"status": ConnectionStatus.ERROR, "error": shown(error.message)}
                await connections.release(live.id, owner, refresh_at=utcnow() + PAUSE, **values)
                if live.row.status != ConnectionStatus.ERROR:
                    await note_line(session, live.row, SEVERITIES.index("error"), f"{live.label}: {error.message}")
                    note_error(session, live.row, error.message)
        log.warning("token_not_renewed", connection_id=live.id, code=error.code, transient=error.transient)

    async def _give_up(self, session: AsyncSession, live: LiveConnection, error: StepFailed) -> None:
        """Once: the version moves, so whoever comes second changes nothing."""
        changed = await Connections(session).change(
            live.id,
            live.version,
            token_version=live.version + 1,
            status=ConnectionStatus.NEEDS_REAUTH,
            error=shown(error.message),
            lease_owner=None,
            lease_until=None,
        )
        if changed:
            note_event(session, live.row, "needs_reauth")
            message = f"{live.label} must be authorised again: {error.message}"
            await note_line(session, live.row, SEVERITIES.index("error"), message)


def ensure_authorized(live: LiveConnection) -> None:
    """Raises StepFailed for what only a person can mend."""
    if live.row.status == ConnectionStatus.NEEDS_REAUTH:
        raise StepFailed(f"The connection {live.label} must be authorised again", code="connection_needs_reauth")
    if live.needs_a_person:
        raise StepFailed(f"The connection {live.label} is not connected", code="connection_not_connected")


def _is_renewable(live: LiveConnection) -> bool:
    by_itself = live.values.get("grant") == CLIENT_CREDENTIALS
    return by_itself or (live.token is not None and live.token.refresh_token is not None)


def _without_token(live: LiveConnection, error: StepFailed) -> StepFailed:
    """What a step is told."""
    if error.code == oauth.REAUTH:
        message = f"The connection {live.label} must be authorised again: {error.message}"
        return StepFailed(message, code="connection_needs_reauth")
    message = f"The connection {live.label} gets no token: {error.message}"
    return StepFailed(message, code="connection_error", transient=error.transient, permanent=error.permanent)


async def _persistently(act: Callable[[], Awaitable[T]]) -> T:
    """Also while the database is away for a moment: what a provider gives once must not be lost."""
    deadline = asyncio.get_running_loop().time() + WRITING_PATIENCE
    while True:
        try:
            return await act()
        except Unavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.5)
