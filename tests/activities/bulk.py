"""A replay of many executions, and its activities without Temporal."""

from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import delete, select, update

from activities.handover import Handover, Starter
from activities.replays import ReplayActivities
from domain.bulk import ReplayProgress, ReplayTurn
from domain.executions import Status
from domain.upgrades import Wish
from runtime.clock import utcnow
from store.executions import ExecutionFilter
from store.replays import Replays
from store.tables import ExecutionRow, ReplayItemRow, ReplayRow
from tests.activities.kit import Kit
from tests.factories import an_id, job, save


@dataclass
class NoTemporal:
    started: list[str] = field(default_factory=list)

    async def start(self, handover: Handover, *, delivery: bool = False) -> None:
        self.started.append(handover.execution_id)


@dataclass
class Bulk:
    """A replay of all failed executions, and its activities without Temporal."""

    kit: Kit
    starter: NoTemporal = field(default_factory=NoTemporal)

    @property
    def activities(self) -> ReplayActivities:
        starter = cast(Starter, self.starter)
        return ReplayActivities(self.kit.database, self.kit.deployments, self.kit.payloads, starter)

    async def ask(self, wanted: ExecutionFilter | None = None, **of_replay: Any) -> str:
        asked = job(id=an_id("rply"), kind="replay")
        defaults = {
            "principal": "bootstrap",
            "filter": {"status": ["failed"]},
            "original_version": False,
            "from_failed_step": False,
            "rate_per_second": 100.0,
            "min_ended": 1,
            "wish": Wish.RUN,
            "created_at": utcnow(),
            "updated_at": utcnow(),
        }
        row = ReplayRow(id=asked.id, **defaults | of_replay)
        async with self.kit.database.transaction() as session:
            await save(session, asked)
            await Replays(session).add(row, wanted or ExecutionFilter(statuses=[Status.FAILED], originals_only=True))
            asked.total = sum((await Replays(session).counts(row.id)).values())
            await session.flush()
        return row.id

    async def turn(self, replay_id: str, position: int = 0) -> ReplayProgress:
        given = ReplayTurn(replay_id, position)
        found: ReplayProgress = await self.kit.environment.run(self.activities.replay_some, given)
        return found

    async def items(self, replay_id: str) -> list[ReplayItemRow]:
        query = select(ReplayItemRow).where(ReplayItemRow.replay_id == replay_id).order_by(ReplayItemRow.position)
        async with self.kit.database.snapshot() as session:
            return list(await session.scalars(query))

    async def became(self, replay_id: str) -> list[tuple[str, str | None]]:
        return [(item.status, item.reason) for item in await self.items(replay_id)]

    async def begun(self, replay_id: str) -> bool:
        return any(item.replayed_as for item in await self.items(replay_id))

    async def wish(self, replay_id: str, wish: str) -> None:
        async with self.kit.database.transaction() as session:
            await session.execute(update(ReplayRow).where(ReplayRow.id == replay_id).values(wish=wish))

    async def set(self, execution_id: str | None, **values: Any) -> None:
        async with self.kit.database.transaction() as session:
            await session.execute(update(ExecutionRow).where(ExecutionRow.id == execution_id).values(**values))

    async def remove(self, execution_id: str | None) -> None:
        async with self.kit.database.transaction() as session:
            await session.execute(delete(ExecutionRow).where(ExecutionRow.id == execution_id))
