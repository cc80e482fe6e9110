"""What authorises an OAuth connection, or ends that: the way to the provider, tokens from elsewhere, a disconnect."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.connection_fields import drop_tokens, keep_values
from activities.connection_secrets import ConnectionSecrets, LiveConnection, note_event, sealed_place
from activities.vault import Vault
from domain.connections import OAUTH2
from domain.errors import Conflict, Invalid, Problem
from domain.oauth import AUTHORIZATION_CODE, Token, TokenUnusable, may_return_to, read_token
from runtime.clock import utcnow
from runtime.crypto import hash_secret
from runtime.ids import new_secret
from runtime.settings import Settings
from store.connections import OAuthStates
from store.tables import ConnectionRow, OAuthStateRow

LIFE = timedelta(minutes=10)
VERIFIER_BYTES = 48  # 65 letters and digits; RFC 7636 wants 43 to 128


@dataclass(frozen=True)
class Target:
    """A connection, locked, and the inputs to get tokens with, complete."""

    row: ConnectionRow
    values: dict[str, Any]


@dataclass(frozen=True)
class Authorization:
    url: str
    expires_at: datetime


async def authorize(
    session: AsyncSession, vault: Vault, settings: Settings, principal: str, target: Target, redirect_to: str | None
) -> Authorization:
    """An address for one browser, which leads on to the provider. Raises Conflict `not_authorizable`, Invalid."""
    _ensure_oauth(target)
    if target.values["grant"] != AUTHORIZATION_CODE:
        raise Conflict("This connection gets its tokens without a person.", code="not_authorizable")
    _ensure_return(settings, redirect_to)
    token, now, row = new_secret(), utcnow(), target.row
    state_id = hash_secret(token)
    sealed = {"values": target.values, "verifier": new_secret(VERIFIER_BYTES)}
    states = OAuthStates(session)
    await states.purge(now)
    states.add(
        OAuthStateRow(
            id=state_id,
            connection_id=row.id,
            customer_id=row.customer_id,
            principal=principal,
            sealed=await vault.encrypt_json(session, row.customer_id, sealed, sealed_place(state_id)),
            redirect_to=redirect_to,
            expires_at=now + LIFE,
        )
    )
    row.error = None  # whoever waits for the outcome sees a new one
    note_event(session, row, "authorization_begun", principal)
    return Authorization(f"{settings.public_url}/oauth/start/{token}", now + LIFE)


async def import_tokens(
    session: AsyncSession, vault: Vault, principal: str, target: Target, answer: dict[str, Any]
) -> None:
    """Tokens that were got elsewhere with the same client. Raises Invalid."""
    _ensure_oauth(target)
    try:
        token = read_token(answer)
    except TokenUnusable as error:
        raise Invalid(str(error), [Problem("#/access_token", "invalid_value", str(error))]) from None
    await connect(session, vault, target, token, utcnow())
    note_event(session, target.row, "tokens_imported", principal)


async def connect(session: AsyncSession, vault: Vault, target: Target, token: Token, asked_at: datetime) -> None:
    """These tokens, got with these inputs, are the connection's from now on."""
    row, secrets = target.row, ConnectionSecrets(vault)
    await keep_values(session, secrets, row, target.values)
    for column, value in (await secrets.seal_token(session, row, token, asked_at)).items():
        setattr(row, column, value)
    row.connected_at, row.refused_version = utcnow(), None
    await session.flush()


async def disconnect(session: AsyncSession, vault: Vault, principal: str, row: ConnectionRow) -> LiveConnection | None:
    """What was connected until now, to be revoked; None when nothing was. The row is locked."""
    if row.kind != OAUTH2:
        raise _not_oauth()
    live = await ConnectionSecrets(vault).read(session, row)
    if live.token is None:
        return None
    drop_tokens(row, live.values)
    await session.flush()
    note_event(session, row, "disconnected", principal)
    return live


def _ensure_oauth(target: Target) -> None:
    if target.row.kind != OAUTH2:
        raise _not_oauth()


def _not_oauth() -> Conflict:
    return Conflict("Only an OAuth connection has tokens: this one's secret is in its values.", code="not_authorizable")


def _ensure_return(settings: Settings, redirect_to: str | None) -> None:
    if redirect_to is None or may_return_to(redirect_to, (settings.public_url, *settings.allowed_redirect_origins)):
        return
    detail = "This lies neither under the public URL nor under an allowed origin (FLOWGRAFT_ALLOWED_REDIRECT_ORIGINS)."
    raise Invalid(detail, [Problem("#/redirect_to", "not_allowed", detail)])
