"""What an instance wants kept of its executions: from which severity on their lines, and the values of their steps."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from activities.held import Held
from activities.records import Log
from domain.executions import TriggerKind
from domain.logs import SEVERITIES, least_severity
from store.executions import Moved
from store.instances import Instances
from store.retention import Expired
from store.steps import Steps

HELD_INSTANCES = 10_000
ANSWER_KEPT = timedelta(minutes=1)  # longer than anybody waits who is not an execution
HELD_SECONDS = 30.0  # how long a change may go unnoticed in a process


class Kept(NamedTuple):
    least_severity: int
    step_values: bool


EVERYTHING = Kept(0, True)


class Keeping:
    """Nothing extra on the road: an instance is asked once in a while."""

    def __init__(self, held_seconds: float = HELD_SECONDS) -> None:
        self._held: Held[Kept] = Held(HELD_INSTANCES, held_seconds)

    async def sift(self, session: AsyncSession, instance_id: str, log: Log) -> None:
        """Leaves the lines that are to be kept."""
        if log.lines:
            kept = await self._of(session, instance_id)
            log.lines = [line for line in log.lines if SEVERITIES.index(line[1]) >= kept.least_severity]

    async def end(self, session: AsyncSession, instance_id: str, execution_id: str, now: datetime) -> None:
        """The execution has ended: nothing needs the values of its steps any longer to make repeats harmless."""
        if not (await self._of(session, instance_id)).step_values:
            await Expired(session).forget_step_values([execution_id], now)

    async def end_well(self, session: AsyncSession, row: Moved, attempt: int, now: datetime) -> None:
        """The same; but a caller, or the sender of a webhook, may wait for what the execution came to."""
        if not (row.is_awaited or row.trigger == TriggerKind.WEBHOOK):
            await self.end(session, row.instance_id, row.id, now)
        elif not (await self._of(session, row.instance_id)).step_values:
            answer = await Steps(session).answer(row.id, attempt)
            await Expired(session).forget_all_but_answer(row.id, answer, now + ANSWER_KEPT)

    async def _of(self, session: AsyncSession, instance_id: str) -> Kept:
        kept = self._held.get(instance_id)
        if kept is None:
            found = await Instances(session).keeps(instance_id)
            kept = Kept(least_severity(found[0]), not found[1]) if found else EVERYTHING
            self._held.put(instance_id, kept)
        return kept
