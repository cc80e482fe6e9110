"""Every query about executions: acceptance, the moves of a status, what upkeep looks for, lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, exists, func, insert, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import OPEN, TERMINAL, Status
from domain.ids import first_id
from domain.polling import NO_CHANGES
from store.dialect import connection_of, contains_text, seconds_between, table_of, values_of
from store.paging import Page, paged
from store.tables import (
    CustomerRow,
    DeploymentRow,
    ExecutionRow,
    ExecutionTagRow,
    InstanceFlowRow,
    InstanceRow,
    IntegrationRow,
    PayloadRow,
)


@dataclass(frozen=True)
class ExecutionFilter:
    """The filters of the list; several values of one name are alternatives, names are combined."""

    customer_ids: Sequence[str] = ()
    instance_ids: Sequence[str] = ()
    integration_ids: Sequence[str] = ()
    version_ids: Sequence[str] = ()
    flow_ids: Sequence[str] = ()
    statuses: Sequence[str] = ()
    triggers: Sequence[str] = ()
    tags: Sequence[tuple[str, str]] = ()
    started_after: datetime | None = None
    started_before: datetime | None = None
    min_duration_seconds: float | None = None
    is_test: bool | None = None
    replay_of: Sequence[str] = ()
    waiting_connection_ids: Sequence[str] = ()
    originals_only: bool = False
    unresolved: bool = False
    parked: bool = False
    hide_no_changes: bool = False
    q: str | None = None


@dataclass(frozen=True)
class ExecutionView:
    """An execution with the names of what it belongs to."""

    row: ExecutionRow
    customer_name: str
    customer_external_id: str | None
    instance_name: str
    integration_name: str
    version_number: int
    flow_key: str
    flow_name: str


class Opening(NamedTuple):
    """An execution, as far as opening it asks, with the names of its instance and customer."""

    id: str
    instance_flow_id: str
    instance_id: str
    customer_id: str
    deployment_id: str
    status: str
    reason: str | None
    trigger: str
    payload_id: str | None
    queue_key: str | None
    resume_from: str | None
    started_at: datetime | None
    handed_over_at: datetime | None
    is_test: bool
    retry: dict[str, Any]
    instance_name: str
    customer_name: str
    customer_external_id: str | None


class Moved(NamedTuple):
    """What a change of status tells of the execution."""

    id: str
    instance_flow_id: str
    instance_id: str
    customer_id: str
    trigger: str
    is_test: bool
    started_at: datetime | None
    unique_key: str | None
    queue_key: str | None
    root_id: str | None
    invoked_by: str | None
    is_awaited: bool


CLOCKS_DIFFER = timedelta(minutes=5)  # at most, between who accepts an execution and who begins or ends it
ANY_EDITION = 2**31 - 1  # of an execution's retry
FAR = datetime(9000, 1, 1, tzinfo=UTC)


class Standing(NamedTuple):
    """How an execution stands, for who compares it with Temporal."""

    id: str
    status: str
    ended_at: datetime | None
    check_after: datetime | None


# As in the tables, word for word: SQLite uses a partial index only where the query says its very condition.
UNRESOLVED: ColumnElement[bool] = literal_column(
    "executions.status = 'failed' AND executions.replay_of IS NULL AND executions.resolved_at IS NULL"
)
INVOKED: ColumnElement[bool] = literal_column("executions.invoked_by IS NOT NULL")
TABLE = table_of(ExecutionRow)
INSERT, INSERT_PAYLOAD = insert(TABLE), insert(table_of(PayloadRow))
OPENING = (
    select(
        *(TABLE.c[name] for name in Opening._fields[:15]),
        InstanceRow.name.label("instance_name"),
        CustomerRow.name.label("customer_name"),
        CustomerRow.external_id.label("customer_external_id"),
    )
    .join(InstanceRow, InstanceRow.id == TABLE.c.instance_id)
    .join(CustomerRow, CustomerRow.id == TABLE.c.customer_id)
    .where(TABLE.c.id == bindparam("execution_id"))
    .with_for_update(of=TABLE)
)


@dataclass(frozen=True)
class Acceptance:
    """What one transaction writes: after its commit the delivery cannot be lost."""

    execution: ExecutionRow
    payload: PayloadRow | None = None
    tags: dict[str, str] = field(default_factory=dict)


class Executions:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def accept(self, acceptance: Acceptance) -> None:
        """The rows are written as they are: they do not become the session's."""
        await self.session.flush()
        connection = connection_of(self.session)
        if acceptance.payload is not None:
            await connection.execute(INSERT_PAYLOAD, values_of(acceptance.payload))
        await connection.execute(INSERT, values_of(acceptance.execution))
        execution_id = acceptance.execution.id
        tags = [{"execution_id": execution_id, "key": key, "value": value} for key, value in acceptance.tags.items()]
        if tags:
            await self.session.execute(insert(ExecutionTagRow), tags)

    async def get(self, execution_id: str) -> ExecutionRow | None:
        return await self.session.get(ExecutionRow, execution_id)

    async def by_dedupe_key(self, instance_flow_id: str, dedupe_key: str) -> ExecutionRow | None:
        return await self.session.scalar(
            select(ExecutionRow).where(
                ExecutionRow.instance_flow_id == instance_flow_id, ExecutionRow.dedupe_key == dedupe_key
            )
        )

    async def by_dedupe_keys(self, keys: Mapping[str, str]) -> Sequence[ExecutionRow]:
        """Those that hold one of the keys, given by the flow's id."""
        found = [await self.by_dedupe_key(flow_id, key) for flow_id, key in keys.items()]
        return [row for row in found if row is not None]

    async def release_dedupe_key(self, execution_id: str) -> None:
        """After its window a key may be claimed again."""
        await self.session.execute(update(ExecutionRow).where(ExecutionRow.id == execution_id).values(dedupe_key=None))

    async def payload(self, payload_id: str) -> PayloadRow | None:
        return await self.session.get(PayloadRow, payload_id)

    async def view(self, execution_id: str) -> ExecutionView | None:
        rows = await self._views(_views().where(ExecutionRow.id == execution_id))
        return rows[0] if rows else None

    def conditions(self, wanted: ExecutionFilter) -> list[ColumnElement[bool]]:
        """Of the list, for others that choose executions by its filters."""
        return _conditions(wanted, self.session)

    async def list(self, wanted: ExecutionFilter, page: Page) -> Sequence[ExecutionView]:
        """Newest first. The page is chosen before what stands in other tables is looked up."""
        chosen = paged(select(ExecutionRow.id).where(*_conditions(wanted, self.session)), ExecutionRow.id, page)
        ids = (await self.session.scalars(chosen)).all()
        return await self._views(_views().where(ExecutionRow.id.in_(ids)).order_by(ExecutionRow.id.desc()))

    async def pending(self, queued_before: datetime, limit: int) -> Sequence[ExecutionView]:
        """Accepted, neither held by a pause nor in a queue, not handed over to Temporal, oldest first."""
        return await self._views(
            _views()
            .where(
                ExecutionRow.status == Status.QUEUED,
                ExecutionRow.handed_over_at.is_(None),
                ExecutionRow.held.is_(None),
                ExecutionRow.queue_key.is_(None),
                ExecutionRow.queued_at < queued_before,
            )
            .order_by(ExecutionRow.queued_at)
            .limit(limit)
        )

    async def due_for_check(self, now: datetime, limit: int) -> Sequence[ExecutionView]:
        """Open ones that upkeep should compare with Temporal, longest waiting first."""
        return await self._views(
            _views().where(ExecutionRow.check_after < now).order_by(ExecutionRow.check_after).limit(limit)
        )

    async def of_deployment(self, dedupe_prefix: str, instance_id: str) -> Sequence[str]:
        """Ids of the executions that a deploy or a delete accepted, by their dedupe key."""
        rows = await self.session.scalars(
            select(ExecutionRow.id)
            .where(ExecutionRow.instance_id == instance_id, ExecutionRow.dedupe_key == dedupe_prefix)
            .order_by(ExecutionRow.id)
        )
        return list(rows)

    async def has_open(self, instance_flow_id: str, except_id: str) -> bool:
        """Is another execution of this flow, tests aside, queued, running or waiting for its retry?"""
        found = await self.session.scalar(
            select(ExecutionRow.id)
            .where(
                ExecutionRow.instance_flow_id == instance_flow_id,
                ExecutionRow.id != except_id,
                ExecutionRow.is_test.is_(False),
                ExecutionRow.ended_at.is_(None),
            )
            .limit(1)
        )
        return found is not None

    async def any_open_from_before(self, at: datetime) -> bool:
        query = select(ExecutionRow.id).where(ExecutionRow.ended_at.is_(None), ExecutionRow.queued_at < at)
        return await self.session.scalar(query.limit(1)) is not None

    async def opening(self, execution_id: str) -> Opening | None:
        """An execution, locked."""
        found = (await connection_of(self.session).execute(OPENING, {"execution_id": execution_id})).one_or_none()
        return None if found is None else Opening._make(found)

    async def change(self, execution_id: str, values: dict[str, Any]) -> None:
        """Of one that `opening` has locked."""
        given = values | {"execution_id": execution_id}
        await connection_of(self.session).execute(_change(tuple(values)), given)

    async def move(
        self, execution_id: str, attempt: int, values: dict[str, Any], edition: int = ANY_EDITION
    ) -> Moved | None:
        """Change an execution that is not terminal, not in a later attempt already, and has no newer edition of its
        retry. None: nothing changed."""
        given = values | {"execution_id": execution_id, "up_to_attempt": attempt, "edition": edition}
        statement = _change(tuple(values), unless_ended=True)
        found = (await connection_of(self.session).execute(statement, given)).one_or_none()
        return None if found is None else Moved._make(found)

    async def mark_handed_over(self, execution_ids: Sequence[str], now: datetime, check_after: datetime) -> None:
        await self.session.execute(
            update(ExecutionRow)
            .where(ExecutionRow.id.in_(execution_ids), ExecutionRow.handed_over_at.is_(None))
            .values(handed_over_at=now, check_after=check_after)
            .execution_options(synchronize_session=False)
        )

    async def check_again(self, execution_ids: Sequence[str], check_after: datetime) -> None:
        await self.session.execute(
            update(ExecutionRow)
            .where(ExecutionRow.id.in_(execution_ids), ExecutionRow.check_after.is_not(None))
            .values(check_after=check_after)
            .execution_options(synchronize_session=False)
        )

    async def standings(self, execution_ids: Sequence[str]) -> dict[str, Standing]:
        """By id; one that the ledger does not have is left out."""
        columns = (ExecutionRow.id, ExecutionRow.status, ExecutionRow.ended_at, ExecutionRow.check_after)
        rows = await self.session.execute(select(*columns).where(ExecutionRow.id.in_(execution_ids)))
        return {row.id: Standing(*row) for row in rows}

    async def invoked(self, execution_id: str) -> Sequence[ExecutionRow]:
        """What it has called, in that order."""
        query = select(ExecutionRow).where(ExecutionRow.invoked_by == execution_id, INVOKED)
        return (await self.session.scalars(query.order_by(ExecutionRow.id))).all()

    async def workflow_of(self, execution_id: str) -> str | None:
        return await self.session.scalar(select(ExecutionRow.workflow_id).where(ExecutionRow.id == execution_id))

    async def replays(self, execution_id: str) -> Sequence[ExecutionRow]:
        rows = await self.session.scalars(
            select(ExecutionRow).where(ExecutionRow.replay_of == execution_id).order_by(ExecutionRow.id)
        )
        return list(rows)

    async def open_of_instance(self, instance_id: str, limit: int) -> Sequence[ExecutionRow]:
        rows = await self.session.scalars(
            select(ExecutionRow)
            .where(ExecutionRow.instance_id == instance_id, ExecutionRow.status.in_(OPEN))
            .order_by(ExecutionRow.id)
            .limit(limit)
        )
        return list(rows)

    async def of_instance(self, instance_id: str, after: str, limit: int) -> Sequence[ExecutionRow]:
        """Oldest first, for removal in batches."""
        rows = await self.session.scalars(
            select(ExecutionRow)
            .where(ExecutionRow.instance_id == instance_id, ExecutionRow.id > after)
            .order_by(ExecutionRow.id)
            .limit(limit)
        )
        return list(rows)

    async def _views(self, query: Any) -> Sequence[ExecutionView]:
        return [ExecutionView(*row) for row in await self.session.execute(query)]


@lru_cache(maxsize=64)
def _change(columns: tuple[str, ...], *, unless_ended: bool = False) -> Any:
    """Built once for each set of columns: building costs as much as running."""
    statement = update(TABLE).where(TABLE.c.id == bindparam("execution_id"))
    statement = statement.values({name: bindparam(name) for name in columns})
    if not unless_ended:
        return statement
    statement = statement.where(TABLE.c.status.not_in(TERMINAL), TABLE.c.attempt <= bindparam("up_to_attempt"))
    statement = statement.where(func.coalesce(TABLE.c.retry["edition"].as_integer(), 0) <= bindparam("edition"))
    return statement.returning(*(TABLE.c[name] for name in Moved._fields))


def _views() -> Any:
    return (
        select(
            ExecutionRow,
            CustomerRow.name,
            CustomerRow.external_id,
            InstanceRow.name,
            IntegrationRow.name,
            DeploymentRow.version_number,
            InstanceFlowRow.key,
            InstanceFlowRow.name,
        )
        .join(CustomerRow, CustomerRow.id == ExecutionRow.customer_id)
        .join(InstanceRow, InstanceRow.id == ExecutionRow.instance_id)
        .join(IntegrationRow, IntegrationRow.id == ExecutionRow.integration_id)
        .join(DeploymentRow, DeploymentRow.id == ExecutionRow.deployment_id)
        .join(InstanceFlowRow, InstanceFlowRow.id == ExecutionRow.instance_flow_id)
    )


def _conditions(wanted: ExecutionFilter, session: AsyncSession) -> list[ColumnElement[bool]]:
    any_of = (
        (ExecutionRow.customer_id, wanted.customer_ids),
        (ExecutionRow.instance_id, wanted.instance_ids),
        (ExecutionRow.integration_id, wanted.integration_ids),
        (ExecutionRow.version_id, wanted.version_ids),
        (ExecutionRow.instance_flow_id, wanted.flow_ids),
        (ExecutionRow.status, wanted.statuses),
        (ExecutionRow.trigger, wanted.triggers),
        (ExecutionRow.replay_of, wanted.replay_of),
        (ExecutionRow.waiting_connection_id, wanted.waiting_connection_ids),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in any_of if values]
    if wanted.started_after is not None:
        conditions.append(ExecutionRow.started_at >= wanted.started_after)
    if wanted.started_before is not None:
        conditions.append(ExecutionRow.started_at < wanted.started_before)
        # An id is no younger than its execution's start: the list, which goes by ids, need not look before there.
        conditions.append(ExecutionRow.id < first_id("exec", min(wanted.started_before, FAR) + CLOCKS_DIFFER))
    if wanted.min_duration_seconds is not None:
        conditions.append(
            seconds_between(session, ExecutionRow.started_at, ExecutionRow.ended_at) >= wanted.min_duration_seconds
        )
    if wanted.is_test is not None:
        conditions.append(ExecutionRow.is_test.is_(wanted.is_test))
    if wanted.originals_only:
        conditions.append(ExecutionRow.replay_of.is_(None))
    if wanted.hide_no_changes:
        conditions.append(or_(ExecutionRow.reason.is_(None), ExecutionRow.reason != NO_CHANGES))
    if wanted.unresolved:
        conditions.append(UNRESOLVED)
    if wanted.parked:
        conditions.append(ExecutionRow.parked_until.is_not(None))
    if wanted.tags:
        conditions.append(_tagged(wanted.tags))
    if wanted.q:
        conditions.append(_matches(wanted.q))
    return conditions


def _tagged(tags: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    pairs = [(ExecutionTagRow.key == key) & (ExecutionTagRow.value == value) for key, value in tags]
    return exists().where(ExecutionTagRow.execution_id == ExecutionRow.id, or_(*pairs))


def _matches(text: str) -> ColumnElement[bool]:
    tag = exists().where(ExecutionTagRow.execution_id == ExecutionRow.id, contains_text(ExecutionTagRow.value, text))
    message = ExecutionRow.error["message"].as_string()
    return or_(ExecutionRow.id == text, contains_text(message, text), tag)
