"""Every query about the outbox: facts on their way to monitors and event endpoints."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.tables import OutboxRow

MOST_TRIES = 100  # what fails as often by an error of ours is left lying, for somebody to look at


class OutboxFacts:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: OutboxRow) -> None:
        self.session.add(row)

    async def take(self, limit: int) -> Sequence[OutboxRow]:
        """Oldest first, what has failed before last; held until the transaction ends, what others hold is left out."""
        query = select(OutboxRow).where(OutboxRow.tries < MOST_TRIES).order_by(OutboxRow.tries, OutboxRow.id)
        return (await self.session.scalars(query.limit(limit).with_for_update(skip_locked=True))).all()

    async def delete(self, ids: Sequence[str]) -> None:
        gone = delete(OutboxRow).where(OutboxRow.id.in_(ids))
        await self.session.execute(gone.execution_options(synchronize_session=False))

    async def note_error(self, fact_id: str) -> None:
        failed = update(OutboxRow).where(OutboxRow.id == fact_id).values(tries=OutboxRow.tries + 1)
        await self.session.execute(failed.execution_options(synchronize_session=False))


def removals_untold() -> ColumnElement[bool]:
    """Whether there are instances of whose removal nobody has been told yet."""
    return exists(select(OutboxRow.id).where(OutboxRow.kind == "instance.deleted", OutboxRow.tries < MOST_TRIES))
