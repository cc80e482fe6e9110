"""Config values as they are stored: secrets and connections encrypted, the rest in clear."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.definitions.model import ConfigField
from runtime.crypto import Keyring
from store.instances import Instances


def context(instance_id: str, key: str) -> str:
    """The associated data of an encrypted config value."""
    return f"instances/{instance_id}/config/{key}"


def is_secret(field: ConfigField | None) -> bool:
    return field is not None and (field.secret or field.type == "connection")


class Configuration:
    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def read(self, session: AsyncSession, instance_id: str) -> dict[str, Any]:
        """Every set value by key, secrets in clear: for resolving and checking, never for an answer."""
        rows = await Instances(session).config_values(instance_id)
        return {
            key: self._keyring.decrypt_json(row.secret, context(instance_id, key))
            if row.secret is not None
            else (row.value or {}).get("value")
            for key, row in rows.items()
        }

    async def write(
        self,
        session: AsyncSession,
        instance_id: str,
        fields: Mapping[str, ConfigField],
        changes: Mapping[str, Any],
        at: datetime,
    ) -> None:
        """Sets what is given; None goes back to the default."""
        instances = Instances(session)
        for key, value in changes.items():
            if value is None:
                await instances.delete_config_value(instance_id, key)
            elif is_secret(fields.get(key)):
                secret = self._keyring.encrypt_json(value, context(instance_id, key))
                await instances.put_config_value(instance_id, key, secret=secret, at=at)
            else:
                await instances.put_config_value(instance_id, key, value={"value": value}, at=at)

    async def drop(self, session: AsyncSession, instance_id: str, keys: Iterable[str]) -> None:
        for key in keys:
            await Instances(session).delete_config_value(instance_id, key)
