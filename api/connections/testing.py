"""Trying a connection out, and telling a provider that its tokens are not needed any more."""

from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from activities import oauth
from activities.configuration import Configuration
from activities.connection_fields import keep_values
from activities.connection_secrets import ConnectionSecrets, LiveConnection, note_error, note_event, shown
from activities.options import Question, question_of
from api.connections import own_service
from api.instances import access
from api.instances.lifecycle_service import pinned
from api.resources import Resources
from domain.connections import OAUTH2, ConnectionStatus
from domain.errors import NotFound, StepFailed
from domain.http import HttpSender
from domain.oauth import CLIENT_CREDENTIALS
from store.connections import Connections
from store.customers import Customers
from store.tables import ConnectionRow

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Trial:
    ok: bool
    error: str | None
    status: ConnectionStatus


async def try_out(resources: Resources, principal: str, connection_id: str) -> Trial:
    """A new token for an OAuth connection. The status follows."""
    error = await _token_problem(resources, connection_id)
    return await _noted(resources, principal, connection_id, error)


async def try_field(resources: Resources, principal: str, instance_id: str, key: str) -> Trial:
    """An instance's own, or the reusable one that it names; then the definition's check, if there is one.

    Raises NotFound, Invalid `config_invalid`.
    """
    async with resources.database.snapshot() as session:
        connection_id = (await own_service.get(session, resources.vault, instance_id, key)).connection_id
    if connection_id is None:
        connection_id = await _own_id(resources, instance_id, key)
    error = await _token_problem(resources, connection_id)
    if error is not None:
        return await _noted(resources, principal, connection_id, error)
    async with resources.database.snapshot() as session:
        question = await _question(session, resources, instance_id, key)
    if question is not None:
        error = await resources.options.check(question)
    return await _noted(resources, principal, connection_id, error, checked=question is not None)


async def revoke(http: HttpSender, ended: LiveConnection) -> None:
    """As far as it goes: the tokens are forgotten here already."""
    if ended.token is None or not ended.values.get("revocation_url"):
        return
    try:
        await oauth.revoke(http, ended.values, ended.token)
    except StepFailed as error:
        log.warning("token_not_revoked", connection_id=ended.id, code=error.code)


async def _own_id(resources: Resources, instance_id: str, key: str) -> str:
    async with resources.database.transaction() as session:
        target = await own_service.target(session, resources.vault, instance_id, key)
        if target.row.kind == OAUTH2 and target.values["grant"] == CLIENT_CREDENTIALS:
            await keep_values(session, ConnectionSecrets(resources.vault), target.row, target.values)
    return target.row.id


async def _question(session: AsyncSession, resources: Resources, instance_id: str, key: str) -> Question | None:
    row = await access.get(session, instance_id)
    definition = await pinned(session, row)
    each = definition.fields()[key]
    if each.check is None:
        return None
    customer = await Customers(session).get(row.customer_id)
    assert customer is not None, "instances.customer_id is a foreign key"
    values = await Configuration(resources.vault).read(session, row.id)
    return await question_of(session, row, customer, definition, each, values, each.check.as_used_by(key))


async def _noted(
    resources: Resources, principal: str, connection_id: str, error: str | None, *, checked: bool = False
) -> Trial:
    async with resources.database.transaction() as session:
        row = await Connections(session).get(connection_id, for_update=True)
        if row is None:
            raise NotFound("There is no such connection.")
        if checked and row.owner is None:  # a reusable one may work for others
            _note_check(session, row, error)
        note_event(session, row, "tested", principal, ok=error is None)
    return Trial(error is None, error, ConnectionStatus(row.status))


async def _token_problem(resources: Resources, connection_id: str) -> str | None:
    try:
        await resources.connections.tokens.tried(connection_id)
    except StepFailed as failed:
        return failed.message
    return None


def _note_check(session: AsyncSession, row: ConnectionRow, error: str | None) -> None:
    if error is not None and row.status == ConnectionStatus.ACTIVE:
        row.status, row.error = ConnectionStatus.ERROR, shown(error)
        note_error(session, row, error)
    elif error is None and row.status == ConnectionStatus.ERROR:
        row.status, row.error = ConnectionStatus.ACTIVE, None
