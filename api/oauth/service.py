"""The two stops of a browser that authorises a connection: the start that binds it, and the way back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from activities import oauth
from activities.connection_secrets import note_event, note_line, sealed_place, shown
from api.connections.authorizing import Target, connect
from api.resources import Resources
from domain.connections import ConnectionStatus
from domain.errors import MalformedBody, StepFailed
from domain.logs import SEVERITIES
from domain.oauth import shown_error
from runtime.clock import utcnow
from runtime.crypto import hash_secret, same_secret
from runtime.ids import new_secret
from store.connections import Connections, OAuthStates
from store.engine import Database
from store.tables import ConnectionRow, OAuthStateRow

SECRET = re.compile(r"[0-9A-Za-z]{20,100}")  # as `new_secret` makes them
LONGEST_CODE = 4096

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Departure:
    """`cookie` is what binds the browser: its name and value."""

    address: str
    cookie: tuple[str, str]


@dataclass(frozen=True)
class Return:
    """What came of it. `error` is fit for people."""

    label: str
    redirect_to: str | None
    error: str | None
    cookie: str


@dataclass(frozen=True)
class _Begun:
    """An authorisation that this browser has begun and nobody has ended."""

    state: OAuthStateRow
    row: ConnectionRow
    values: dict[str, Any]
    verifier: str


def redirect_uri(public_url: str) -> str:
    """The same for every connection: this is what the vendor registers at the provider."""
    return f"{public_url}/oauth/callback"


def cookie_name(state_hash: str, public_url: str) -> str:
    """One per authorisation, so that several can be under way in one browser. Over https no other host can set it."""
    prefix = "__Host-" if public_url.startswith("https://") else ""
    return f"{prefix}flowgraft_oauth_{state_hash[:16]}"


async def depart(resources: Resources, token: str) -> Departure:
    """Binds the first browser that comes. Raises MalformedBody `oauth_state_invalid`."""
    if not SECRET.fullmatch(token):
        raise invalid()
    state_id, state, browser = hash_secret(token), new_secret(), new_secret()
    public_url = resources.settings.public_url
    async with resources.database.transaction() as session:
        if not await OAuthStates(session).begin(state_id, hash_secret(state), hash_secret(browser), utcnow()):
            raise invalid()
        begun = await OAuthStates(session).get(state_id)
        assert begun is not None
        sealed = await resources.vault.decrypt_json(session, begun.sealed, sealed_place(state_id))
    address = oauth.authorization_address(sealed["values"], redirect_uri(public_url), state, sealed["verifier"])
    return Departure(address, (cookie_name(hash_secret(state), public_url), browser))


async def come_back(resources: Resources, query: Mapping[str, str], cookies: Mapping[str, str]) -> Return:
    """Raises MalformedBody `oauth_state_invalid` for whatever is not the one answer that this browser waits for."""
    begun = await _taken(resources, query.get("state", ""), cookies)
    public_url = resources.settings.public_url
    cookie = cookie_name(begun.state.state_hash or "", public_url)
    error = await _outcome(resources, begun, query)
    label = begun.row.name or begun.row.key or begun.row.id
    return Return(label, begun.state.redirect_to if error is None else None, error, cookie)


async def _taken(resources: Resources, state: str, cookies: Mapping[str, str]) -> _Begun:
    """Once: whoever comes second finds nothing."""
    if not SECRET.fullmatch(state):
        raise invalid()
    state_hash = hash_secret(state)
    browser = cookies.get(cookie_name(state_hash, resources.settings.public_url), "")
    async with resources.database.transaction() as session:
        states = OAuthStates(session)
        found = await states.by_state(state_hash)
        if found is None or found.expires_at <= utcnow() or not _same_browser(found, browser):
            raise invalid()
        if not await states.take(found.id):
            raise invalid()
        row = await Connections(session).get(found.connection_id)
        if row is None:
            raise invalid()
        sealed = await resources.vault.decrypt_json(session, found.sealed, sealed_place(found.id))
    return _Begun(found, row, sealed["values"], sealed["verifier"])


def _same_browser(found: OAuthStateRow, browser: str) -> bool:
    return found.browser_hash is not None and same_secret(hash_secret(browser), found.browser_hash)


async def _outcome(resources: Resources, begun: _Begun, query: Mapping[str, str]) -> str | None:
    """None when it is connected."""
    issuer, code = begun.values.get("issuer"), query.get("code", "")
    if issuer is not None and query.get("iss") != issuer:
        return await _failed(resources.database, begun, "the answer came from another issuer")
    if "error" in query:
        return await _failed(resources.database, begun, f"the provider says: {shown_error(query['error'])}")
    if not 0 < len(code) <= LONGEST_CODE:
        return await _failed(resources.database, begun, "the provider sent no code")
    asked_at = utcnow()
    came_back_to = redirect_uri(resources.settings.public_url)
    try:
        token = await oauth.exchange_code(resources.http, begun.values, code, came_back_to, begun.verifier)
    except StepFailed as error:
        return await _failed(resources.database, begun, error.message)
    async with resources.database.transaction() as session:
        row = await Connections(session).get(begun.row.id, for_update=True)
        if row is None:
            raise invalid()
        await connect(session, resources.vault, Target(row, begun.values), token, asked_at)
        note_event(session, row, "connected", begun.state.principal)
        await note_line(session, row, SEVERITIES.index("info"), f"{row.name or row.key} is connected")
    return None


async def _failed(database: Database, begun: _Begun, error: str) -> str:
    """A connection that works goes on working: only what is wrong with the attempt is kept."""
    async with database.transaction() as session:
        row = await Connections(session).get(begun.row.id, for_update=True)
        if row is not None:
            row.error = shown(error)
            if row.status == ConnectionStatus.PENDING:
                row.status = ConnectionStatus.ERROR
            await _note_failure(session, row, begun.state.principal, error)
    log.warning("authorization_failed", connection_id=begun.row.id, error=error)
    return error


async def _note_failure(session: AsyncSession, row: ConnectionRow, principal: str, error: str) -> None:
    note_event(session, row, "authorization_failed", principal)
    message = f"{row.name or row.key} was not authorised: {error}"
    await note_line(session, row, SEVERITIES.index("warn"), message)


def invalid() -> MalformedBody:
    """One answer for all of them."""
    detail = "This address was used already, has expired, or belongs to another browser: begin again."
    return MalformedBody(detail, code="oauth_state_invalid")
