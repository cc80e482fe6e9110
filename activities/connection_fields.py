"""Connection fields of instances: what their values point at, and what a deploy makes of them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.connection_secrets import NO_TOKEN, ConnectionSecrets
from activities.vault import Vault
from domain.config import ResolvedConfig, effective
from domain.connections import OAUTH2, REFERENCE, ConnectionStatus, complete, public_fields, reference
from domain.definitions.model import ConfigField
from domain.errors import Invalid, Problem
from domain.oauth import CLIENT_CREDENTIALS, identity
from runtime.clock import utcnow
from runtime.ids import new_id
from store.connections import Connections
from store.tables import ConnectionRow, InstanceRow

Fields = Mapping[str, ConfigField]
Values = Mapping[str, Any]


async def note_value(session: AsyncSession, instance_id: str, key: str, value: Any) -> None:
    """A connection field has another value now: what it names is in use, what was wrong with it is forgotten."""
    await Connections(session).use(instance_id, key, reference(value))
    await Connections(session).forgive(instance_id, key)


async def ensure_references(
    session: AsyncSession, customer_id: str, fields: Fields, values: Values, pointer: str
) -> None:
    """Raises Invalid for a value that points at no connection of the field's kind that this customer may use."""
    named = {key: reference(value) for key, value in values.items() if key in fields and reference(value)}
    rows = await Connections(session).get_many([each for each in named.values() if each])
    problems = []
    for key, connection_id in named.items():
        found = _reference_problem(rows.get(connection_id or ""), customer_id, fields[key])
        if found is not None:
            problems.append(Problem(f"{pointer}/{key}/{REFERENCE}", *found))
    if problems:
        raise Invalid(problems[0].detail, problems)


async def ensure_connected(
    session: AsyncSession, vault: Vault, instance: InstanceRow, fields: Fields, values: Values
) -> None:
    """What a deploy wants besides values that fit. Raises Invalid `config_invalid`: `not_found`, `not_connected` …"""
    used = {key: effective(each, values) for key, each in fields.items() if each.type == "connection"}
    if not used:
        return
    rows = await Connections(session).get_many([each for each in map(reference, used.values()) if each])
    own = await Connections(session).own(instance.id)
    problems = []
    for key, value in used.items():
        named = reference(value)
        if named is not None:
            found = _reference_problem(rows.get(named), instance.customer_id, fields[key])
            where, row = f"#/config/{key}/{REFERENCE}", rows.get(named)
        else:
            found, where, row = None, f"#/config/{key}", own.get(key)
        if value is not None and found is None and fields[key].connection == OAUTH2:
            inputs = None if named else complete(OAUTH2, value)
            found = await _connection_problem(session, ConnectionSecrets(vault), row, inputs, fields[key])
        if found is not None:
            problems.append(Problem(where, *found))
    if problems:
        raise Invalid(problems[0].detail, problems, code="config_invalid")


async def pin(session: AsyncSession, vault: Vault, instance: InstanceRow, resolved: ResolvedConfig) -> None:
    """What is read live is left out of the deployment: its id takes the place of its values."""
    secrets, connections = ConnectionSecrets(vault), Connections(session)
    used: dict[str, str] = {}
    for key, held in resolved.connections.items():
        if REFERENCE in held:
            row = await connections.get(held[REFERENCE])
            assert row is not None, "ensure_connected has looked"
            live = await secrets.read(session, row)
            resolved.public[key] = {REFERENCE: row.id} | public_fields(row.kind, live.values)
            used[key] = row.id
        elif held["kind"] == OAUTH2:
            row = await own_row(session, instance, key, OAUTH2)
            await keep_values(session, secrets, row, held.pop("values"))
            held[REFERENCE] = row.id
    await connections.deployed(instance.id, used)


async def own_row(session: AsyncSession, instance: InstanceRow, key: str, kind: str) -> ConnectionRow:
    """The row of an instance's own connection field, locked; made when it is not there. The instance is locked."""
    connections, now = Connections(session), utcnow()
    held = (await connections.own(instance.id)).get(key)
    if held is not None and held.kind == kind:
        locked = await connections.get(held.id, for_update=True)
        assert locked is not None
        return locked
    if held is not None:  # another version has another kind under this key
        await connections.delete(held.id)
    row = ConnectionRow(
        id=new_id("conn"),
        kind=kind,
        customer_id=instance.customer_id,
        instance_id=instance.id,
        key=key,
        status=ConnectionStatus.PENDING if kind == OAUTH2 else ConnectionStatus.ACTIVE,
        token_version=0,
        revision=1,
        created_at=now,
        updated_at=now,
    )
    connections.add(row)
    await session.flush()
    return row


async def keep_values(
    session: AsyncSession, secrets: ConnectionSecrets, row: ConnectionRow, values: dict[str, Any]
) -> None:
    """The inputs that tokens are got with from now on. Tokens of another identity are dropped. The row is locked."""
    if row.kind == OAUTH2 and row.identity != identity(values):
        drop_tokens(row, values)
    for column, value in (await secrets.seal_values(session, row, values)).items():
        setattr(row, column, value)
    await session.flush()


def drop_tokens(row: ConnectionRow, values: Values) -> None:
    for column, value in NO_TOKEN.items():
        setattr(row, column, value)
    row.token_version += 1
    row.status, row.error, row.connected_at = status_without_tokens(row.kind, values), None, None


def status_without_tokens(kind: str, values: Values) -> ConnectionStatus:
    """Only a person's authorisation is something to wait for."""
    waits = kind == OAUTH2 and values.get("grant") != CLIENT_CREDENTIALS
    return ConnectionStatus.PENDING if waits else ConnectionStatus.ACTIVE


def is_connected(row: ConnectionRow | None, values: Values) -> bool:
    """An instance's own: `values` are its inputs as configured now, and its tokens may be of others."""
    return row is not None and row.tokens is not None and row.identity == identity(values)


def _reference_problem(row: ConnectionRow | None, customer_id: str, each: ConfigField) -> tuple[str, str] | None:
    """Another customer's connection is as absent as one that is not there."""
    if row is None or row.owner is None or row.customer_id not in (None, customer_id):
        return "not_found", "there is no such connection"
    if row.kind != each.connection:
        return "wrong_kind", f"this must be a connection of kind {each.connection}, not {row.kind}"
    return None


async def _connection_problem(
    session: AsyncSession, secrets: ConnectionSecrets, row: ConnectionRow | None, own: Values | None, each: ConfigField
) -> tuple[str, str] | None:
    """Of an OAuth connection: whether a person must authorise it first. `own`: the inputs as configured now."""
    name = each.label or each.key
    if row is not None and row.status == ConnectionStatus.NEEDS_REAUTH:
        return "not_connected", f"{name} must be authorised again"
    if own is not None:
        connected = own["grant"] == CLIENT_CREDENTIALS or is_connected(row, own)
    else:
        connected = row is not None and not (await secrets.read(session, row)).needs_a_person
    return None if connected else ("not_connected", f"{name} is not connected yet")
