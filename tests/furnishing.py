"""A row in every table that can belong to an instance or a customer, made from the tables alone."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from sqlalchemy import JSON, Boolean, Column, DateTime, Float, Integer, LargeBinary, Table, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeDecorator

from store.dialect import table_of
from store.removal import NAMED_OTHERWISE, STAY, parts
from store.tables import Base, ExecutionRow
from tests.factories import NOW, Deployed, an_id

ROOTS = {"customers", "integrations", "versions", "instances"}
_numbers = count(1)

Values = dict[str, Any]


def belonging() -> set[str]:
    """Names of the tables that a delete of an instance or of a customer looks at."""
    found = {table.name for table, _ in parts("instance_id", "") + parts("customer_id", "")}
    of_executions = {table.name for table in Base.metadata.sorted_tables if "execution_id" in table.c}
    return (found | of_executions | {"blobs"}) - STAY


async def furnish(session: AsyncSession, made: Deployed, execution: ExecutionRow) -> None:
    """One more row in each of them, of this instance and this execution."""
    rows: dict[str, Values] = {
        table_of(type(row)).name: {column.key: getattr(row, column.key) for column in table_of(type(row)).columns}
        for row in (made.customer, made.integration, made.version, made.instance, made.deployment, made.flow, execution)
    }
    owners = {"instance_id": made.instance.id, "customer_id": made.customer.id, "execution_id": execution.id}
    owners |= {"instance_flow_id": made.flow.id, "workflow_id": execution.id, "object_id": made.instance.id}
    owners |= {"deployment_id": made.deployment.id, "owner": made.customer.id}
    for table in Base.metadata.sorted_tables:
        if table.name in belonging() - ROOTS:
            rows[table.name] = rows.get(table.name, {}) | _row(table, rows, owners)
            await session.execute(insert(table).values(rows[table.name]))


def _row(table: Table, rows: Mapping[str, Values], owners: Mapping[str, str]) -> Values:
    return {column.name: _value(column, rows, owners) for column in table.columns if _is_wanted(column)}


def _is_wanted(column: Column[Any]) -> bool:
    """Also what may be absent, where it says whose the row is."""
    named = {"instance_id", "customer_id", "execution_id", *NAMED_OTHERWISE.values()}
    return not column.nullable or bool(column.foreign_keys) or column.name in named or bool(column.unique)


def _value(column: Column[Any], rows: Mapping[str, Values], owners: Mapping[str, str]) -> Any:
    for key in column.foreign_keys:
        return rows[key.column.table.name][key.column.name]
    if column.name in owners and (not column.primary_key or len(column.table.primary_key.columns) > 1):
        return owners[column.name]
    kind = column.type.impl if isinstance(column.type, TypeDecorator) else column.type
    if isinstance(kind, LargeBinary):
        return b""
    if isinstance(kind, JSON):
        return {}
    if isinstance(kind, DateTime):
        return NOW
    if isinstance(kind, Boolean):
        return False
    return next(_numbers) if isinstance(kind, Integer | Float) else an_id(column.name)
