"""Moving an instance to another version, up or down: values, URLs and keys stay, by their keys."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.configuration import Configuration
from domain.config import Fields, SecretText, Values, config_state
from domain.definitions.model import Definition
from runtime.clock import utcnow
from store.config_drafts import ConfigDrafts
from store.tables import InstanceRow, VersionRow


async def move(
    session: AsyncSession, configuration: Configuration, instance: InstanceRow, version: VersionRow
) -> Definition:
    """Takes effect at the next deploy. The caller has locked the instance, and moves its revision."""
    definition = Definition.model_validate(version.definition)
    fields = definition.fields()
    values = await configuration.read(session, instance.id)
    await configuration.write(session, instance, fields, _to_hide(fields, values), utcnow())
    instance.version_id = version.id
    instance.configured = config_state(fields, values)
    instance.needs_deploy = True
    instance.config_revision += 1  # the configuration has other fields now
    await ConfigDrafts(session).clear(instance.id)  # they are of the other version's pages
    return definition


def _to_hide(fields: Fields, values: Values) -> dict[str, Any]:
    """What was stored in clear and is a secret from this version on."""
    return {
        key: value
        for key, value in values.items()
        if key in fields and fields[key].secret and not isinstance(value, SecretText)
    }


async def move_in_bulk(
    session: AsyncSession, configuration: Configuration, instance: InstanceRow, version_id: str
) -> Definition | None:
    """One of many moves that a client asked for at once. None when it has this version already."""
    if instance.version_id == version_id:
        return None
    version = await session.get_one(VersionRow, version_id)
    instance.revision += 1
    instance.updated_at = utcnow()
    return await move(session, configuration, instance, version)
