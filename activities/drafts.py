"""Drafts of a configuration as they are stored: encrypted, a page each."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.vault import Vault
from runtime.clock import utcnow
from store.config_drafts import ConfigDrafts
from store.tables import ConfigDraftRow, InstanceRow


@dataclass(frozen=True)
class Draft:
    """`values` hold secrets in clear; None is back to the default."""

    row: ConfigDraftRow
    values: dict[str, Any]


def draft_context(instance_id: str, page: int) -> str:
    """The associated data of an encrypted draft."""
    return f"instances/{instance_id}/drafts/{page}"


class Drafts:
    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def read(self, session: AsyncSession, instance_id: str) -> list[Draft]:
        """In the order of the pages."""
        rows = await ConfigDrafts(session).of_instance(instance_id)
        return [Draft(row, await self._open(session, row)) for row in rows]

    async def drafted(self, session: AsyncSession, instance_id: str) -> dict[str, Any]:
        """The values of all drafts together."""
        return {key: value for draft in await self.read(session, instance_id) for key, value in draft.values.items()}

    async def save(self, session: AsyncSession, instance: InstanceRow, page: int, values: dict[str, Any]) -> Draft:
        place = draft_context(instance.id, page)
        sealed = await self._vault.encrypt_json(session, instance.customer_id, values, place)
        return Draft(await ConfigDrafts(session).put(instance.id, page, sealed, utcnow()), values)

    async def _open(self, session: AsyncSession, row: ConfigDraftRow) -> dict[str, Any]:
        place = draft_context(row.instance_id, row.page)
        values: dict[str, Any] = await self._vault.decrypt_json(session, row.values, place)
        return values
