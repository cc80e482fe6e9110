"""What can be done with reusable connections."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.connection_fields import keep_values, status_without_tokens
from activities.connection_secrets import ConnectionSecrets, note_event
from activities.vault import Vault
from api.connections.authorizing import Target
from api.customers.service import ensure_stays
from api.etags import Precondition
from domain.connections import KINDS, REFERENCE, ConnectionStatus, check_inputs, complete, public_fields
from domain.errors import Conflict, Invalid, NotFound, Problem
from domain.text import nearest
from runtime.clock import utcnow
from runtime.ids import new_id
from store.connections import ORGANIZATION, ConnectionFilter, Connections
from store.customers import Customers
from store.paging import Page
from store.tables import ConnectionRow
from store.waiting import WaitingExecutions


@dataclass(frozen=True)
class ConnectionView:
    """`values` are without secrets."""

    row: ConnectionRow
    values: dict[str, Any]
    used_by: int
    waiting: int = 0


async def create(session: AsyncSession, vault: Vault, principal: str, given: dict[str, Any]) -> ConnectionView:
    """Raises Invalid with a pointer per input, Conflict `already_exists`."""
    kind, customer_id, values = given["kind"], given["customer_id"], given["values"]
    _ensure_kind(kind)
    if customer_id is not None:
        await _ensure_customer(session, customer_id)
    _ensure_inputs(kind, values)
    owner = customer_id or ORGANIZATION
    await _ensure_free(session, owner, given["name"])
    now, whole = utcnow(), complete(kind, values)
    row = ConnectionRow(
        id=new_id("conn"),
        kind=kind,
        name=given["name"],
        owner=owner,
        customer_id=customer_id,
        status=status_without_tokens(kind, whole),
        token_version=0,
        revision=1,
        created_at=now,
        updated_at=now,
    )
    Connections(session).add(row)
    await keep_values(session, ConnectionSecrets(vault), row, whole)
    note_event(session, row, "created", principal, kind=kind)
    return await _view(session, vault, row)


async def find(session: AsyncSession, vault: Vault, wanted: ConnectionFilter, page: Page) -> Sequence[ConnectionView]:
    rows = await Connections(session).list(wanted, page)
    ids = [row.id for row in rows]
    used, waiting = await Connections(session).used_by(ids), await WaitingExecutions(session).counts(ids)
    return [
        ConnectionView(row, await _public(session, vault, row), used.get(row.id, 0), waiting.get(row.id, 0))
        for row in rows
    ]


async def get(session: AsyncSession, vault: Vault, connection_id: str) -> ConnectionView:
    return await _view(session, vault, await reusable(session, connection_id))


async def update(
    session: AsyncSession,
    vault: Vault,
    principal: str,
    connection_id: str,
    changes: dict[str, Any],
    precondition: Precondition,
) -> ConnectionView:
    """Takes effect at the next step that uses it. An OAuth connection of another client must be authorised again."""
    row = await reusable(session, connection_id, for_update=True)
    precondition.ensure(row.revision)
    secrets = ConnectionSecrets(vault)
    held = (await secrets.read(session, row)).values
    values = {key: item for key, item in {**held, **changes.get("values", {})}.items() if item is not None}
    name = changes.get("name", row.name or "")
    _ensure_inputs(row.kind, values)
    changed = [key for key in values.keys() | held.keys() if values.get(key) != held.get(key)]
    if name != row.name:
        await _ensure_free(session, str(row.owner), name)
        row.name = name
        changed.append("name")
    if changed:
        whole = complete(row.kind, values)
        await keep_values(session, secrets, row, whole)
        _forgive(row, whole)
        row.revision += 1
        row.updated_at = utcnow()
        note_event(session, row, "updated", principal, changed=sorted(changed))
    return await _view(session, vault, row)


async def delete(session: AsyncSession, principal: str, connection_id: str, precondition: Precondition) -> None:
    """Raises Conflict `in_use`."""
    row = await reusable(session, connection_id, for_update=True)
    precondition.ensure(row.revision)
    used_by = (await Connections(session).used_by([row.id])).get(row.id, 0)
    if used_by:
        instances = "1 instance uses it" if used_by == 1 else f"{used_by} instances use it"
        raise Conflict(f"{instances}: give them another connection, and deploy them, first.", code="in_use")
    await Connections(session).delete(row.id)
    note_event(session, row, "deleted", principal)


async def target(session: AsyncSession, vault: Vault, connection_id: str) -> Target:
    """Locked."""
    row = await reusable(session, connection_id, for_update=True)
    return Target(row, (await ConnectionSecrets(vault).read(session, row)).values)


async def reusable(session: AsyncSession, connection_id: str, *, for_update: bool = False) -> ConnectionRow:
    """An instance's own is found at the instance only."""
    row = await Connections(session).get(connection_id, for_update=for_update)
    if row is None or row.owner is None:
        raise NotFound("There is no such connection.")
    return row


async def _view(session: AsyncSession, vault: Vault, row: ConnectionRow) -> ConnectionView:
    used, waiting = await Connections(session).used_by([row.id]), await WaitingExecutions(session).counts([row.id])
    return ConnectionView(row, await _public(session, vault, row), used.get(row.id, 0), waiting.get(row.id, 0))


async def _public(session: AsyncSession, vault: Vault, row: ConnectionRow) -> dict[str, Any]:
    live = await ConnectionSecrets(vault).read(session, row)
    return public_fields(row.kind, live.values)


def _forgive(row: ConnectionRow, values: dict[str, Any]) -> None:
    """What was wrong with other inputs may be mended; that a person must authorise is not."""
    if row.status == ConnectionStatus.ERROR:
        row.status = ConnectionStatus.ACTIVE if row.tokens else status_without_tokens(row.kind, values)
        row.error = None


def _ensure_kind(kind: str) -> None:
    if kind not in KINDS:
        hint = nearest(kind, KINDS)
        help_ = f"did you mean {hint}?" if hint else f"there are {', '.join(KINDS)}."
        detail = f"There is no such kind of connection; {help_}"
        raise Invalid(detail, [Problem("#/kind", "invalid_value", detail)])


def _ensure_inputs(kind: str, values: dict[str, Any]) -> None:
    if REFERENCE in values:
        problem = Problem(f"#/values/{REFERENCE}", "unknown_key", "a reusable connection has inputs of its own")
        raise Invalid(problem.detail, [problem])
    problems = check_inputs(kind, values, "#/values")
    if problems:
        raise Invalid(problems[0].detail, problems)


async def _ensure_customer(session: AsyncSession, customer_id: str) -> None:
    """Locked, so that a delete of it finds this connection."""
    customer = await Customers(session).get(customer_id, for_update=True)
    if customer is None:
        detail = "There is no such customer."
        raise Invalid(detail, [Problem("#/customer_id", "not_found", detail)])
    ensure_stays(customer)


async def _ensure_free(session: AsyncSession, owner: str, name: str) -> None:
    if await Connections(session).by_name(owner, name) is not None:
        problem = Problem("#/name", "already_exists", "Another connection of this owner has this name.")
        raise Conflict(problem.detail, [problem], code="already_exists")
