"""An instance's configuration: what is set, and changing it. Secrets go in and never come out."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.configuration import Configuration
from activities.connection_fields import ensure_references
from activities.vault import Vault
from api.etags import Precondition
from api.instances import access
from api.instances.lifecycle_service import pinned
from api.instances.service import ensure_fits, note
from domain.config import Fields, config_state, describe, is_exposed, is_shown, misfits, missing, with_changes
from domain.definitions.model import Definition
from domain.errors import Invalid, Problem
from runtime.clock import utcnow
from store.tables import InstanceRow


@dataclass(frozen=True)
class ConfigView:
    """`pages` are as clients may see them."""

    row: InstanceRow
    pages: list[dict[str, Any]]


async def get(session: AsyncSession, vault: Vault, instance_id: str, *, for_customer: bool = False) -> ConfigView:
    row = await access.get(session, instance_id)
    values = await Configuration(vault).read(session, row.id)
    return _view(row, await pinned(session, row), values, for_customer=for_customer)


async def change(
    session: AsyncSession,
    vault: Vault,
    principal: str,
    instance_id: str,
    given: dict[str, Any],
    precondition: Precondition,
    *,
    replace: bool = False,
    for_customer: bool = False,
) -> ConfigView:
    """Sets the keys given (None: back to the default); `replace` drops all others too. Raises Invalid per key.

    A customer neither sets what is hidden nor drops it.
    """
    row = await changeable(session, instance_id, precondition)
    definition = await pinned(session, row)
    fields = definition.fields()
    ensure_settable(definition, given, for_customer=for_customer)
    await ensure_references(session, row.customer_id, fields, given, "#/values")
    configuration = Configuration(vault)
    held = await configuration.read(session, row.id, instead=given)
    wanted = with_changes(fields, _hidden(fields, held, for_customer) if replace else held, given)
    changes = {key: wanted.get(key) for key in {*held, *wanted} if not _same(held.get(key), wanted.get(key))}
    changes |= {key: given[key] for key in given if key in held and is_exposed(fields[key], held[key])}
    if changes:
        await configuration.write(session, row, fields, changes, utcnow())
        row.configured = config_state(fields, wanted)
        row.needs_deploy = True
        row.config_revision += 1
        note(session, principal, "instance.configured", row, keys=sorted(changes))
    return _view(row, definition, wanted, for_customer=for_customer)


async def changeable(session: AsyncSession, instance_id: str, precondition: Precondition) -> InstanceRow:
    """Locked until the transaction ends. Raises VersionConflict by the configuration's own revision, and Conflict."""
    row = await access.get(session, instance_id, for_update=True)
    precondition.ensure(row.config_revision)
    access.ensure_stays(row)
    return row


def ensure_settable(definition: Definition, given: dict[str, Any], *, for_customer: bool) -> None:
    """Raises Invalid with a pointer per key."""
    fields = definition.fields()
    hidden = [key for key in given if for_customer and key in fields and not is_shown(fields[key])]
    if hidden:
        problems = [
            Problem(f"#/values/{key}", "not_visible", f"{key} is hidden from customers: the organisation sets it")
            for key in hidden
        ]
        raise Invalid(problems[0].detail, problems)
    ensure_fits(definition, given, "#/values")


def _hidden(fields: Fields, held: dict[str, Any], for_customer: bool) -> dict[str, Any]:
    """What a replacement leaves as it is."""
    kept = {key: value for key, value in held.items() if key in fields and not is_shown(fields[key])}
    return kept if for_customer else {}


def _view(row: InstanceRow, definition: Definition, values: dict[str, Any], *, for_customer: bool) -> ConfigView:
    fields = definition.fields()
    problems = [*missing(fields, values), *misfits(fields, values)]
    return ConfigView(row, describe(definition.config, values, problems, for_customer=for_customer))


def _same(one: Any, other: Any) -> bool:
    """As JSON: to Python, true is 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
