"""Every query about executions: acceptance, the moves of a status, what upkeep looks for, lists."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.executions import OPEN, TERMINAL, Status
from store.dialect import contains_text, seconds_between
from store.paging import Page
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
    originals_only: bool = False
    unresolved: bool = False
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
        if acceptance.payload is not None:
            self.session.add(acceptance.payload)
        self.session.add(acceptance.execution)
        await self.session.flush()
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

    async def release_dedupe_key(self, execution_id: str) -> None:
        """After its window a key may be claimed again."""
        await self.session.execute(update(ExecutionRow).where(ExecutionRow.id == execution_id).values(dedupe_key=None))

    async def payload(self, payload_id: str) -> PayloadRow | None:
        return await self.session.get(PayloadRow, payload_id)

    async def view(self, execution_id: str) -> ExecutionView | None:
        rows = await self._views(_views().where(ExecutionRow.id == execution_id))
        return rows[0] if rows else None

    async def list(self, wanted: ExecutionFilter, page: Page) -> Sequence[ExecutionView]:
        query = (
            _views().where(*_conditions(wanted, self.session)).order_by(ExecutionRow.id.desc()).limit(page.limit + 1)
        )
        if page.after:
            query = query.where(ExecutionRow.id < page.after)
        return await self._views(query)

    async def pending(self, queued_before: datetime, limit: int) -> Sequence[ExecutionView]:
        """Accepted and not handed over to Temporal, oldest first."""
        return await self._views(
            _views()
            .where(
                ExecutionRow.status == Status.QUEUED,
                ExecutionRow.handed_over_at.is_(None),
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

    async def opening(self, execution_id: str) -> tuple[ExecutionRow, InstanceRow, CustomerRow] | None:
        """An execution, locked, with its instance and customer, in one query."""
        query = (
            select(ExecutionRow, InstanceRow, CustomerRow)
            .join(InstanceRow, InstanceRow.id == ExecutionRow.instance_id)
            .join(CustomerRow, CustomerRow.id == ExecutionRow.customer_id)
            .where(ExecutionRow.id == execution_id)
            .with_for_update(of=ExecutionRow)
        )
        found = (await self.session.execute(query)).one_or_none()
        return None if found is None else (found[0], found[1], found[2])

    async def move(self, execution_id: str, attempt: int, values: dict[str, Any]) -> ExecutionRow | None:
        """Change an execution that is not terminal and not in a later attempt already. None: nothing changed."""
        return await self.session.scalar(
            update(ExecutionRow)
            .where(
                ExecutionRow.id == execution_id,
                ExecutionRow.status.not_in(TERMINAL),
                ExecutionRow.attempt <= attempt,
            )
            .values(**values)
            .returning(ExecutionRow)
            .execution_options(synchronize_session=False, populate_existing=True)
        )

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
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in any_of if values]
    if wanted.started_after is not None:
        conditions.append(ExecutionRow.started_at >= wanted.started_after)
    if wanted.started_before is not None:
        conditions.append(ExecutionRow.started_at < wanted.started_before)
    if wanted.min_duration_seconds is not None:
        conditions.append(
            seconds_between(session, ExecutionRow.started_at, ExecutionRow.ended_at) >= wanted.min_duration_seconds
        )
    if wanted.is_test is not None:
        conditions.append(ExecutionRow.is_test.is_(wanted.is_test))
    if wanted.originals_only or wanted.unresolved:
        conditions.append(ExecutionRow.replay_of.is_(None))
    if wanted.unresolved:
        conditions += [ExecutionRow.status == Status.FAILED, ~_succeeded_later()]
    if wanted.tags:
        conditions.append(_tagged(wanted.tags))
    if wanted.q:
        conditions.append(_matches(wanted.q))
    return conditions


def _tagged(tags: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    pairs = [(ExecutionTagRow.key == key) & (ExecutionTagRow.value == value) for key, value in tags]
    return exists().where(ExecutionTagRow.execution_id == ExecutionRow.id, or_(*pairs))


def _succeeded_later() -> ColumnElement[bool]:
    replay = aliased(ExecutionRow)
    return exists().where(replay.replay_of == ExecutionRow.id, replay.status == Status.SUCCEEDED)


def _matches(text: str) -> ColumnElement[bool]:
    tag = exists().where(ExecutionTagRow.execution_id == ExecutionRow.id, contains_text(ExecutionTagRow.value, text))
    message = ExecutionRow.error["message"].as_string()
    return or_(ExecutionRow.id == text, contains_text(message, text), tag)
