"""Every query about drafts of instances' configuration."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.dialect import affected
from store.tables import ConfigDraftRow


class ConfigDrafts:
    """The instance is locked by whoever writes."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def of_instance(self, instance_id: str) -> Sequence[ConfigDraftRow]:
        """In the order of the pages."""
        query = select(ConfigDraftRow).where(ConfigDraftRow.instance_id == instance_id)
        return (await self.session.scalars(query.order_by(ConfigDraftRow.page))).all()

    async def put(self, instance_id: str, page: int, values: bytes, at: datetime) -> ConfigDraftRow:
        row = await self.session.get(ConfigDraftRow, (instance_id, page))
        if row is None:
            row = ConfigDraftRow(instance_id=instance_id, page=page, created_at=at)
            self.session.add(row)
        row.values, row.updated_at = values, at
        await self.session.flush()
        return row

    async def delete(self, instance_id: str, page: int) -> bool:
        of_page = delete(ConfigDraftRow).where(ConfigDraftRow.instance_id == instance_id, ConfigDraftRow.page == page)
        return bool(affected(await self.session.execute(of_page)))

    async def clear(self, instance_id: str) -> int:
        of_instance = delete(ConfigDraftRow).where(ConfigDraftRow.instance_id == instance_id)
        return affected(await self.session.execute(of_instance))
