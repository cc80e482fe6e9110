"""Every query about the records of steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import StepStatus
from store.dialect import connection_of, table_of, upsert
from store.tables import StepRow

UNENDED = StepRow.status == StepStatus.RUNNING
KEY = ("execution_id", "attempt", "path")
TABLE = table_of(StepRow)
BY_KEY = select(TABLE).where(*(TABLE.c[name] == bindparam(name) for name in KEY))


@dataclass(slots=True, kw_only=True)
class Record:
    """A row of the table, plain: every step of every execution makes one."""

    execution_id: str
    attempt: int
    path: str
    key: str
    name: str
    component: str
    action: str
    position: int
    iteration: list[Any]
    status: str
    started_at: datetime
    tries: int = 1
    ended_at: datetime | None = None
    inputs: bytes | None = None
    output: bytes | None = None
    output_size: int = 0
    branch: str | None = None
    error: dict[str, Any] | None = None

    @property
    def is_stop(self) -> bool:
        return (self.component, self.action) == ("flow", "stop")


COLUMNS = tuple(Record.__slots__)


class Steps:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, execution_id: str, attempt: int, path: str) -> Record | None:
        key = {"execution_id": execution_id, "attempt": attempt, "path": path}
        found = (await connection_of(self.session).execute(BY_KEY, key)).mappings().one_or_none()
        return None if found is None else Record(**found)

    async def record(self, records: Sequence[Record]) -> bool:
        """Write records, or complete those of earlier tries. False: what has ended already stayed as it is."""
        values = [{name: getattr(record, name) for name in COLUMNS} for record in records]
        return await upsert(connection_of(self.session), StepRow, values, KEY, where=UNENDED) == len(records)

    async def succeeded(self, execution_id: str, path: str) -> Record | None:
        """The latest successful record of a path, in whichever attempt."""
        query = (
            select(TABLE)
            .where(StepRow.execution_id == execution_id, StepRow.path == path, StepRow.status == StepStatus.SUCCEEDED)
            .order_by(StepRow.attempt.desc())
            .limit(1)
        )
        found = (await connection_of(self.session).execute(query)).mappings().one_or_none()
        return None if found is None else Record(**found)

    async def answer(self, execution_id: str, attempt: int) -> Record | None:
        """What an attempt that has succeeded came to: its `stop` step, or the last one at the top."""
        stop = and_(StepRow.component == "flow", StepRow.action == "stop")
        query = select(TABLE).where(StepRow.execution_id == execution_id, StepRow.attempt == attempt)
        query = query.where(StepRow.status == StepStatus.SUCCEEDED, or_(stop, StepRow.path == StepRow.key))
        query = query.order_by(case((stop, 0), else_=1), StepRow.position.desc()).limit(1)
        found = (await connection_of(self.session).execute(query)).mappings().one_or_none()
        return None if found is None else Record(**found)

    async def latest(self, execution_id: str, path: str) -> StepRow | None:
        return await self.session.scalar(
            select(StepRow)
            .where(StepRow.execution_id == execution_id, StepRow.path == path)
            .order_by(StepRow.attempt.desc())
            .limit(1)
        )

    async def of_execution(self, execution_id: str) -> Sequence[StepRow]:
        """All attempts, in the order in which the steps started."""
        rows = await self.session.scalars(
            select(StepRow)
            .where(StepRow.execution_id == execution_id)
            .order_by(StepRow.attempt, StepRow.position, StepRow.started_at)
        )
        return rows.all()
