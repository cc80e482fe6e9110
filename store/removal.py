"""Removing what belongs to an instance or a customer, children before parents: every table that names either."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import ColumnElement, Table, delete, exists, literal_column, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from store.data_keys import DataKeys
from store.dialect import affected, table_of
from store.jobs import DELETES
from store.removed import RemovedExecutions
from store.tables import Base, BlobRow, CustomerRow, ExecutionRow, InstanceRow, JobRow, PayloadRow

Part = tuple[Table, ColumnElement[bool]]

# What stays, because it says who did what to which ids; so do jobs that delete, with their report. Monitors, with their
# alerts and messages, stay until they have told of the delete: the sweep of activities/watching.py removes them.
STAY = frozenset({"events", "replay_items", "upgrade_items", "usage_days", "monitors", "alerts", "deliveries"})
OWNERS = {"instance_id": InstanceRow, "customer_id": CustomerRow}
# Tables that name the owner in a column of another name.
NAMED_OTHERWISE = {"jobs": "object_id", "data_keys": "owner"}
OF_EXECUTIONS = "execution_id"
# As in the tables, word for word: SQLite uses a partial index only where the query says its very condition.
SHARING: ColumnElement[bool] = literal_column("executions.replay_of IS NOT NULL")


class Removal:
    """Each call says how many rows went, by table."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def executions(self, ids: Sequence[str], workflow_ids: Sequence[str]) -> Counter[str]:
        """Executions with what belongs to them; a payload goes when no execution refers to it."""
        await RemovedExecutions(self.session).note(ids)
        query = select(ExecutionRow.payload_id).where(ExecutionRow.id.in_(ids), ExecutionRow.payload_id.is_not(None))
        payload_ids = set(await self.session.scalars(query))
        gone: Counter[str] = Counter()
        for table in reversed(Base.metadata.sorted_tables):
            if OF_EXECUTIONS in table.c and table.name not in STAY:
                gone[table.name] += await self._delete(table, table.c[OF_EXECUTIONS].in_(ids))
        gone += await self.blobs(workflow_ids)
        gone["executions"] += await self._delete(table_of(ExecutionRow), ExecutionRow.id.in_(ids))
        shared = SHARING & (ExecutionRow.payload_id == PayloadRow.id)
        used = exists().where(ExecutionRow.id == PayloadRow.id) | exists().where(shared)
        gone["payloads"] += await self._delete(table_of(PayloadRow), PayloadRow.id.in_(payload_ids) & ~used)
        return +gone

    async def blobs(self, workflow_ids: Sequence[str]) -> Counter[str]:
        return Counter(blobs=await self._delete(table_of(BlobRow), BlobRow.workflow_id.in_(workflow_ids)))

    async def some_of_instance(self, instance_id: str, limit: int) -> Counter[str]:
        """Up to so many rows of one table, apart from the instance, its executions and what goes with them; nothing:
        all are gone."""
        executions = table_of(ExecutionRow)
        for table, condition in parts("instance_id", instance_id):
            if table in (executions, table_of(InstanceRow)) or _refers(table, executions) or _refers(executions, table):
                continue
            keys = list(table.primary_key.columns)
            some = select(*keys).where(condition).limit(limit)
            removed = await self._delete(table, (keys[0] if len(keys) == 1 else tuple_(*keys)).in_(some))
            if removed:
                return Counter({table.name: removed})
        return Counter()

    async def instance(self, instance_id: str) -> Counter[str]:
        """The instance and all that is left of it. Its executions are gone already."""
        return await self._all(parts("instance_id", instance_id))

    async def customer(self, customer_id: str) -> Counter[str]:
        """The customer and all that is left of it, its data keys too. Its instances are gone already."""
        await DataKeys(self.session).hold(customer_id)
        return await self._all(parts("customer_id", customer_id))

    async def _all(self, belonging: Sequence[Part]) -> Counter[str]:
        gone: Counter[str] = Counter()
        for table, condition in belonging:
            gone[table.name] += await self._delete(table, condition)
        return +gone

    async def _delete(self, table: Table, condition: ColumnElement[bool]) -> int:
        statement = delete(table).where(condition).execution_options(synchronize_session=False)
        return affected(await self.session.execute(statement))


def parts(owner: Literal["instance_id", "customer_id"], owner_id: str) -> list[Part]:
    """What belongs to it, children first, each table with the condition of its rows."""
    found: dict[str, ColumnElement[bool]] = {}
    for table in Base.metadata.sorted_tables:
        condition = _condition(table, owner, owner_id, found)
        if condition is not None and table.name not in STAY:
            found[table.name] = condition & JobRow.kind.not_in(DELETES) if table.name == "jobs" else condition
    return [(table, found[table.name]) for table in reversed(Base.metadata.sorted_tables) if table.name in found]


def _condition(
    table: Table, owner: str, owner_id: str, found: dict[str, ColumnElement[bool]]
) -> ColumnElement[bool] | None:
    """A row is the owner itself, or names it, or refers to a row that belongs to it."""
    if table is table_of(OWNERS[owner]):
        return table.c.id == owner_id
    named = table.c.get(NAMED_OTHERWISE.get(table.name, owner))
    if named is not None and not named.nullable:
        return named == owner_id
    ways = [] if named is None else [named == owner_id]
    for key in table.foreign_keys:
        if key.column.table.name in found:
            ways.append(key.parent.in_(select(key.column).where(found[key.column.table.name])))
    return or_(*ways) if ways else None


def _refers(table: Table, to: Table) -> bool:
    return any(key.column.table is to for key in table.foreign_keys)
