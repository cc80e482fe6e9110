"""An instance's configuration: what is set, and changing it. Secrets go in and never come out."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.configuration import Configuration
from api.etags import Precondition
from api.instances import access
from api.instances.lifecycle_service import pinned
from api.instances.service import ensure_fits, note
from domain.config import config_state, describe, misfits, missing, with_changes
from domain.definitions.model import Definition
from runtime.clock import utcnow
from runtime.crypto import Keyring
from store.tables import InstanceRow


@dataclass(frozen=True)
class ConfigView:
    """`pages` are as clients may see them."""

    row: InstanceRow
    pages: list[dict[str, Any]]


async def get(session: AsyncSession, keyring: Keyring, instance_id: str) -> ConfigView:
    row = await access.get(session, instance_id)
    values = await Configuration(keyring).read(session, row.id)
    return _view(row, await pinned(session, row), values)


async def change(
    session: AsyncSession,
    keyring: Keyring,
    principal: str,
    instance_id: str,
    given: dict[str, Any],
    precondition: Precondition,
    *,
    replace: bool = False,
) -> ConfigView:
    """Sets the keys given (None: back to the default); `replace` drops all others too. Raises Invalid per key."""
    row = await access.get(session, instance_id, for_update=True)
    precondition.ensure(row.config_revision)
    access.ensure_stays(row)
    definition = await pinned(session, row)
    ensure_fits(definition, given, "#/values")
    configuration = Configuration(keyring)
    held = await configuration.read(session, row.id)
    wanted = with_changes({} if replace else held, given)
    changes = {key: wanted.get(key) for key in {*held, *wanted} if not _same(held.get(key), wanted.get(key))}
    if changes:
        await configuration.write(session, row.id, definition.fields(), changes, utcnow())
        row.configured = config_state(definition.fields(), wanted)
        row.needs_deploy = True
        row.config_revision += 1
        note(session, principal, "instance.configured", row, keys=sorted(changes))
    return _view(row, definition, wanted)


def _view(row: InstanceRow, definition: Definition, values: dict[str, Any]) -> ConfigView:
    fields = definition.fields()
    problems = [*missing(fields, values), *misfits(fields, values)]
    return ConfigView(row, describe(definition.config, values, problems))


def _same(one: Any, other: Any) -> bool:
    """As JSON: to Python, true is 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
