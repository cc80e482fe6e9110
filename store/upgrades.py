"""Every query about bulk upgrades and their items."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import Status, crockford
from domain.upgrades import FailureRate, ItemStatus, Standing
from store.dialect import affected
from store.jobs import ENDED
from store.paging import Page, paged
from store.tables import DeploymentRow, ExecutionRow, InstanceRow, JobRow, UpgradeItemRow, UpgradeRow, VersionRow

AT_ONCE = 500  # rows of one insert


@dataclass(frozen=True)
class Candidate:
    """An instance that an upgrade might move."""

    instance_id: str
    version_number: int
    standing: Standing


@dataclass(frozen=True)
class ItemView:
    row: UpgradeItemRow
    from_number: int


@dataclass(frozen=True)
class UpgradeView:
    row: UpgradeRow
    job: JobRow
    version_number: int
    counts: dict[str, int]


class Upgrades:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def add(self, row: UpgradeRow, items: Sequence[dict[str, Any]]) -> None:
        """`items` are columns of UpgradeItemRow. The job is there already."""
        self.session.add(row)
        await self.session.flush()
        for batch in _batches(items):
            await self.session.execute(insert(UpgradeItemRow), batch)

    async def candidates(self, integration_id: str, instance_ids: Sequence[str] | None = None) -> Sequence[Candidate]:
        """Instances of the integration, oldest first: all of them, or those named."""
        query = (
            select(
                InstanceRow.id,
                VersionRow.number,
                InstanceRow.version_id,
                DeploymentRow.version_id,
                InstanceRow.deleting,
                InstanceRow.suspended_at.is_not(None),
            )
            .join(VersionRow, VersionRow.id == InstanceRow.version_id)
            .outerjoin(DeploymentRow, DeploymentRow.id == InstanceRow.deployment_id)
            .where(InstanceRow.integration_id == integration_id)
            .order_by(InstanceRow.id)
        )
        if instance_ids is not None:
            query = query.where(InstanceRow.id.in_(instance_ids))
        rows = await self.session.execute(query)
        return [Candidate(row[0], row[1], Standing(*row[2:])) for row in rows]

    async def under_way(self, integration_id: str) -> str | None:
        """The id of the integration's upgrade that has not ended."""
        query = select(UpgradeRow.id).join(JobRow, JobRow.id == UpgradeRow.id)
        return await self.session.scalar(
            query.where(UpgradeRow.integration_id == integration_id, JobRow.state.not_in(ENDED)).limit(1)
        )

    async def get(self, upgrade_id: str) -> UpgradeRow | None:
        return await self.session.get(UpgradeRow, upgrade_id)

    async def list(self, integration_ids: Sequence[str], states: Sequence[str], page: Page) -> Sequence[UpgradeView]:
        query = _views()
        if integration_ids:
            query = query.where(UpgradeRow.integration_id.in_(integration_ids))
        if states:
            query = query.where(JobRow.state.in_(states))
        rows = (await self.session.execute(paged(query, UpgradeRow.id, page))).all()
        counts = await self._counts([row.id for row, _, _ in rows])
        return [UpgradeView(row, job, number, counts[row.id]) for row, job, number in rows]

    async def view(self, upgrade_id: str, *, for_update: bool = False) -> UpgradeView | None:
        query = _views().where(UpgradeRow.id == upgrade_id)
        if for_update:
            query = query.with_for_update(of=[UpgradeRow, JobRow])
        row = (await self.session.execute(query)).one_or_none()
        return UpgradeView(row[0], row[1], row[2], await self.counts(upgrade_id)) if row is not None else None

    async def counts(self, upgrade_id: str) -> dict[str, int]:
        """Items by status; a status without any is 0."""
        return (await self._counts([upgrade_id]))[upgrade_id]

    async def _counts(self, upgrade_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        columns = UpgradeItemRow.upgrade_id, UpgradeItemRow.status
        query = select(*columns, func.count()).where(UpgradeItemRow.upgrade_id.in_(upgrade_ids)).group_by(*columns)
        counted = {upgrade_id: {status.value: 0 for status in ItemStatus} for upgrade_id in upgrade_ids}
        for upgrade_id, status, count in await self.session.execute(query):
            counted[upgrade_id][status] = count
        return counted

    async def items(self, upgrade_id: str, statuses: Sequence[str], page: Page) -> Sequence[ItemView]:
        """In the order of the rings."""
        query = select(UpgradeItemRow, VersionRow.number)
        query = query.join(VersionRow, VersionRow.id == UpgradeItemRow.from_version_id)
        query = query.where(UpgradeItemRow.upgrade_id == upgrade_id)
        if statuses:
            query = query.where(UpgradeItemRow.status.in_(statuses))
        if page.after is not None:
            query = query.where(UpgradeItemRow.position > int(page.after))
        rows = await self.session.execute(query.order_by(UpgradeItemRow.position).limit(page.limit + 1))
        return [ItemView(*row) for row in rows]

    async def count_deployed(self, upgrade_id: str) -> int:
        """Instances that run the new version by this upgrade."""
        of_upgrade = UpgradeItemRow.upgrade_id == upgrade_id, UpgradeItemRow.status == ItemStatus.OK
        query = select(func.count()).where(*of_upgrade, UpgradeItemRow.deployment_id.is_not(None))
        return await self.session.scalar(query) or 0

    async def item(self, upgrade_id: str, position: int) -> UpgradeItemRow | None:
        return await self.session.get(UpgradeItemRow, (upgrade_id, position), with_for_update=True)

    async def skip_pending(self, upgrade_id: str, reason: str, at: datetime) -> None:
        pending = (UpgradeItemRow.upgrade_id == upgrade_id) & (UpgradeItemRow.status == ItemStatus.PENDING)
        values = {"status": ItemStatus.SKIPPED, "reason": reason, "updated_at": at}
        await self.session.execute(update(UpgradeItemRow).where(pending).values(values))

    async def change(self, upgrade_id: str, at: datetime, **values: Any) -> bool:
        statement = update(UpgradeRow).where(UpgradeRow.id == upgrade_id)
        return bool(affected(await self.session.execute(statement.values(updated_at=at, **values))))

    async def failure_rate(self, row: UpgradeRow) -> FailureRate:
        """Of the new version's executions at the instances upgraded so far. Ids begin with their time."""
        floor = f"exec_{crockford(int(row.created_at.timestamp() * 1000), 10)}"
        failed = case((ExecutionRow.status == Status.FAILED, 1), else_=0)
        query = (
            select(func.count(), func.coalesce(func.sum(failed), 0))
            .select_from(UpgradeItemRow)
            .join(ExecutionRow, ExecutionRow.instance_id == UpgradeItemRow.instance_id)
            .where(
                UpgradeItemRow.upgrade_id == row.id,
                UpgradeItemRow.status == ItemStatus.OK,
                ExecutionRow.id >= floor,
                ExecutionRow.version_id == row.version_id,
                ExecutionRow.status.in_((Status.SUCCEEDED, Status.FAILED)),
                ~ExecutionRow.is_test,
            )
        )
        ended, count = (await self.session.execute(query)).one()
        return FailureRate(int(ended), int(count))


def _views() -> Select[UpgradeRow, JobRow, int]:
    return (
        select(UpgradeRow, JobRow, VersionRow.number)
        .join(JobRow, JobRow.id == UpgradeRow.id)
        .join(VersionRow, VersionRow.id == UpgradeRow.version_id)
    )


def _batches(items: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
