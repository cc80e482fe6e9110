"""The connection fields of an instance: how each is, and what tokens are got with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.configuration import Configuration
from activities.connection_fields import is_connected, own_row, status_without_tokens
from activities.vault import Vault
from api.connections.authorizing import Target
from api.instances import access
from api.instances.lifecycle_service import pinned
from domain.config import effective, value_problems
from domain.connections import KINDS, OAUTH2, ConnectionStatus, complete, reference
from domain.definitions.model import ConfigField
from domain.errors import Conflict, Invalid, NotFound, Problem
from store.connections import Connections
from store.tables import ConnectionRow, InstanceRow
from store.waiting import WaitingExecutions


@dataclass(frozen=True)
class FieldConnection:
    key: str
    kind: str
    status: ConnectionStatus
    connected_at: datetime | None
    expires_at: datetime | None
    error: str | None
    connection_id: str | None
    waiting_executions: int


async def find(session: AsyncSession, vault: Vault, instance_id: str) -> list[FieldConnection]:
    """In the order of the definition that the instance is pinned to."""
    instance = await access.get(session, instance_id)
    fields, values = await _configured(session, vault, instance)
    own = await Connections(session).own(instance.id)
    named = [each for each in (reference(effective(field, values)) for field in fields.values()) if each]
    reusable = await Connections(session).get_many(named)
    waiting = await WaitingExecutions(session).counts([row.id for row in (*own.values(), *reusable.values())])
    return [_shown(each, effective(each, values), own, reusable, waiting) for each in fields.values()]


async def get(session: AsyncSession, vault: Vault, instance_id: str, key: str) -> FieldConnection:
    """Raises NotFound."""
    found = [each for each in await find(session, vault, instance_id) if each.key == key]
    if not found:
        raise NotFound("The instance has no such connection.")
    return found[0]


async def target(session: AsyncSession, vault: Vault, instance_id: str, key: str) -> Target:
    """The instance's own, locked. Raises NotFound, Conflict `reusable_connection`, Invalid `config_invalid`."""
    instance = await access.changeable(session, instance_id)
    fields, values = await _configured(session, vault, instance)
    field = _field(fields, key)
    value = effective(field, values)
    named = reference(value)
    if named is not None:
        detail = f"This field names the reusable connection {named}: go to /v1/connections/{named}."
        raise Conflict(detail, code="reusable_connection")
    kind = field.connection or ""
    problems = _problems(field, value)
    if problems:
        raise Invalid(problems[0].detail, problems, code="config_invalid")
    row = await own_row(session, instance, key, kind)
    return Target(row, complete(kind, value))


async def _configured(
    session: AsyncSession, vault: Vault, instance: InstanceRow
) -> tuple[dict[str, ConfigField], dict[str, Any]]:
    definition = await pinned(session, instance)
    fields = {key: each for key, each in definition.fields().items() if each.type == "connection"}
    return fields, await Configuration(vault).read(session, instance.id)


def _field(fields: Mapping[str, ConfigField], key: str) -> ConfigField:
    if key not in fields:
        raise NotFound("The instance has no such connection.")
    return fields[key]


def _problems(field: ConfigField, value: Any) -> list[Problem]:
    pointer = f"#/config/{field.key}"
    if value is None and field.default is None:
        return [Problem(pointer, "missing", f"{field.label or field.key} is not configured")]
    return value_problems(field, field.default if value is None else value, pointer)


def _shown(
    field: ConfigField,
    value: Any,
    own: Mapping[str, ConnectionRow],
    reusable: Mapping[str, ConnectionRow],
    waiting: Mapping[str, int],
) -> FieldConnection:
    kind, named = field.connection or "", reference(value)
    row = reusable.get(named) if named else own.get(field.key)
    if row is not None and row.kind != kind:
        row = None
    return FieldConnection(
        key=field.key,
        kind=kind,
        status=_status(field, value, row),
        connected_at=row.connected_at if row else None,
        expires_at=row.expires_at if row else None,
        error=row.error if row else None,
        connection_id=named,
        waiting_executions=waiting.get(row.id, 0) if row else 0,
    )


def _status(field: ConfigField, value: Any, row: ConnectionRow | None) -> ConnectionStatus:
    kind = field.connection or ""
    if reference(value):
        return ConnectionStatus(row.status) if row else ConnectionStatus.ERROR
    if kind not in KINDS or value is None or value_problems(field, value, ""):
        return ConnectionStatus.PENDING
    if row is not None and row.status in (ConnectionStatus.ERROR, ConnectionStatus.NEEDS_REAUTH):
        return ConnectionStatus(row.status)
    whole = complete(kind, value)
    if kind == OAUTH2 and is_connected(row, whole):
        return ConnectionStatus.ACTIVE
    return status_without_tokens(kind, whole)
