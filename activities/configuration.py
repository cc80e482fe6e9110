"""Config values as they are stored: secrets and connections encrypted, the rest in clear."""

from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.connection_fields import note_value
from activities.vault import Vault
from domain.config import as_secret, holds_secrets
from domain.definitions.model import ConfigField
from runtime.crypto import DecryptionFailed, KeyMissing
from store.instances import Instances
from store.tables import ConfigValueRow, InstanceRow

UNREADABLE = {"unreadable": True}  # no value of any field


def context(instance_id: str, key: str) -> str:
    """The associated data of an encrypted config value."""
    return f"instances/{instance_id}/config/{key}"


class Configuration:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def read(self, session: AsyncSession, instance_id: str, *, instead: Container[str] = ()) -> dict[str, Any]:
        """Every set value by key, secrets in clear: for resolving and checking, never for an answer.

        Raises DecryptionFailed and KeyMissing, but for keys that are about to get another value `instead`.
        """
        values = {}
        for key, row in (await Instances(session).config_values(instance_id)).items():
            try:
                values[key] = await self._open(session, row)
            except (DecryptionFailed, KeyMissing) as error:
                if key not in instead:
                    raise type(error)(f"{key}: {error.message}") from error
                values[key] = UNREADABLE
        return values

    async def _open(self, session: AsyncSession, row: ConfigValueRow) -> Any:
        if row.secret is None:
            return (row.value or {}).get("value")
        return as_secret(await self._vault.decrypt_json(session, row.secret, context(row.instance_id, row.key)))

    async def write(
        self,
        session: AsyncSession,
        instance: InstanceRow,
        fields: Mapping[str, ConfigField],
        changes: Mapping[str, Any],
        at: datetime,
    ) -> None:
        """Sets what is given; None goes back to the default."""
        instances = Instances(session)
        for key, value in changes.items():
            if key not in fields or fields[key].type == "connection":
                await note_value(session, instance.id, key, value)
            if value is None:
                await instances.delete_config_value(instance.id, key)
            elif key in fields and holds_secrets(fields[key]):
                place = context(instance.id, key)
                secret = await self._vault.encrypt_json(session, instance.customer_id, value, place)
                await instances.put_config_value(instance.id, key, secret=secret, at=at)
            else:
                await instances.put_config_value(instance.id, key, value={"value": value}, at=at)

    async def drop(self, session: AsyncSession, instance_id: str, keys: Iterable[str]) -> None:
        for key in keys:
            await note_value(session, instance_id, key, None)
            await Instances(session).delete_config_value(instance_id, key)
