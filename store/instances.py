"""Every query about instances, their configuration and their deployments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Case,
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from store.dialect import affected, connection_of, contains_text, has_labels, upsert
from store.paging import Page, Sort, paged, sorted_page
from store.tables import (
    ConfigValueRow,
    CustomerRow,
    DeploymentRow,
    InstanceFlowRow,
    InstanceRow,
    IntegrationRow,
    VersionRow,
)

STATES = ("not_deployed", "enabled", "paused", "suspended", "deleting")


@dataclass(frozen=True)
class InstanceFilter:
    """Several values of one name are alternatives (labels: all of them), names are combined."""

    q: str | None = None
    description: str | None = None
    customer_ids: Sequence[str] = ()
    integration_ids: Sequence[str] = ()
    version_ids: Sequence[str] = ()
    labels: Sequence[str] = ()
    enabled: bool | None = None
    configured: bool | None = None
    needs_deploy: bool | None = None
    failed: bool | None = None
    deleting: bool | None = None
    states: Sequence[str] = ()
    suspended: bool | None = None
    visible_to_customer: bool | None = None


@dataclass(frozen=True)
class InstanceView:
    """An instance with what stands in other tables. `latest_*` is the newest available version, if there is any."""

    row: InstanceRow
    customer_name: str
    integration_name: str
    version_number: int
    latest_version_id: str | None
    latest_version_number: int | None
    deployed_version: int | None
    failed: bool
    last_execution_at: datetime | None


@dataclass(frozen=True)
class InstanceOrder:
    sort: Sort
    read: Callable[[InstanceView], Any]

    def key(self, view: InstanceView) -> str:
        """What `Page.after` is for the page behind this instance."""
        return self.sort.key(self.read(view), view.row.id)


def order_by(name: str, *, descending: bool = False) -> InstanceOrder:
    column, read = _ORDERS[name]
    return InstanceOrder(Sort(column, descending), read)


_ORDERS: dict[str, tuple[InstrumentedAttribute[Any], Callable[[InstanceView], Any]]] = {
    "name": (InstanceRow.name, lambda view: view.row.name),
    "created_at": (InstanceRow.created_at, lambda view: view.row.created_at),
    "updated_at": (InstanceRow.updated_at, lambda view: view.row.updated_at),
    "customer": (CustomerRow.name, lambda view: view.customer_name),
    "integration": (IntegrationRow.name, lambda view: view.integration_name),
    "version": (VersionRow.number, lambda view: view.version_number),
}


KEEPS = select(InstanceRow.log_level, InstanceRow.step_outputs_disabled).where(
    InstanceRow.id == bindparam("instance_id")
)


class Instances:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    def add(self, row: InstanceRow) -> None:
        self.session.add(row)

    async def get(self, instance_id: str, *, for_update: bool = False) -> InstanceRow | None:
        return await self.session.get(InstanceRow, instance_id, with_for_update=for_update)

    async def keeps(self, instance_id: str) -> tuple[str, bool] | None:
        """Its log level, and whether the values of its steps are not to be kept."""
        query = KEEPS, {"instance_id": instance_id}
        found = (await connection_of(self.session).execute(*query)).one_or_none()
        return None if found is None else (found[0], found[1])

    async def list(
        self, wanted: InstanceFilter, page: Page, order: InstanceOrder | None = None
    ) -> Sequence[InstanceView]:
        """Newest first, unless sorted. The page is chosen before what stands in other tables is looked up."""
        chosen = (await self.session.scalars(_chosen(self.session, wanted, page, order))).all()
        rows = await self.session.execute(_views().where(InstanceRow.id.in_(chosen)))
        found = {row[0].id: InstanceView(*row) for row in rows}
        return [found[instance_id] for instance_id in chosen]

    async def view(self, instance_id: str) -> InstanceView | None:
        row = (await self.session.execute(_views().where(InstanceRow.id == instance_id))).one_or_none()
        return InstanceView(*row) if row is not None else None

    async def count_by_state(self) -> dict[str, int]:
        """How many there are, for the metrics; a state without any is 0."""
        rows = await self.session.execute(select(_state().label("state"), func.count()).group_by("state"))
        return dict.fromkeys(STATES, 0) | dict(rows.all())

    async def config_values(self, instance_id: str) -> dict[str, ConfigValueRow]:
        query = select(ConfigValueRow).where(ConfigValueRow.instance_id == instance_id)
        # put_config_value writes past the session, which may hold the rows as they were.
        rows = await self.session.scalars(query.execution_options(populate_existing=True))
        return {row.key: row for row in rows}

    async def put_config_value(
        self,
        instance_id: str,
        key: str,
        *,
        value: dict[str, Any] | None = None,
        secret: bytes | None = None,
        at: datetime,
    ) -> None:
        """Set or replace one value: `{"value": …}` in clear, or `secret`, encrypted."""
        values = {"instance_id": instance_id, "key": key, "value": value, "secret": secret, "updated_at": at}
        await upsert(self.session, ConfigValueRow, values, ["instance_id", "key"])

    async def delete_config_value(self, instance_id: str, key: str) -> bool:
        of_instance = delete(ConfigValueRow).where(ConfigValueRow.instance_id == instance_id)
        return bool(affected(await self.session.execute(of_instance.where(ConfigValueRow.key == key))))

    async def definitions(self, instance_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Of each instance what its flows follow: the version deployed, before the first deploy the one chosen."""
        followed = func.coalesce(DeploymentRow.version_id, InstanceRow.version_id)
        query = select(InstanceRow.id, followed).where(InstanceRow.id.in_(instance_ids))
        query = query.outerjoin(DeploymentRow, DeploymentRow.id == InstanceRow.deployment_id)
        chosen = dict((await self.session.execute(query)).all())
        versions = select(VersionRow.id, VersionRow.definition).where(VersionRow.id.in_(set(chosen.values())))
        held: dict[str, dict[str, Any]] = dict((await self.session.execute(versions)).all())
        return {instance_id: held[version_id] for instance_id, version_id in chosen.items()}

    def add_deployment(self, row: DeploymentRow) -> None:
        self.session.add(row)

    async def deployment(self, deployment_id: str) -> DeploymentRow | None:
        return await self.session.get(DeploymentRow, deployment_id)


def _state() -> Case[str]:
    return case(
        (InstanceRow.deleting, "deleting"),
        (InstanceRow.suspended_at.is_not(None), "suspended"),
        (InstanceRow.deployment_id.is_(None), "not_deployed"),
        (InstanceRow.enabled, "enabled"),
        else_="paused",
    )


def _visible_to_customer() -> ColumnElement[bool]:
    """In its marketplace a customer sees what is configured, and the rest where that was allowed."""
    shown = exists().where(CustomerRow.id == InstanceRow.customer_id, CustomerRow.show_all_instances)
    return or_(InstanceRow.configured, InstanceRow.deployment_id.is_not(None), shown)


def _failed() -> ColumnElement[bool]:
    return exists().where(InstanceFlowRow.instance_id == InstanceRow.id, InstanceFlowRow.active, InstanceFlowRow.failed)


def _last_execution_at() -> ScalarSelect[datetime | None]:
    query = select(func.max(InstanceFlowRow.last_execution_at)).where(InstanceFlowRow.instance_id == InstanceRow.id)
    return query.correlate(InstanceRow).scalar_subquery()


def _views() -> Select[InstanceRow, str, str, int, str | None, int | None, int | None, bool, datetime | None]:
    version, latest, candidate = aliased(VersionRow), aliased(VersionRow), aliased(VersionRow)
    newest = (
        select(candidate.id)
        .where(candidate.integration_id == InstanceRow.integration_id, candidate.available)
        .order_by(candidate.number.desc())
        .limit(1)
        .correlate(InstanceRow)
        .scalar_subquery()
    )
    return (
        select(
            InstanceRow,
            CustomerRow.name,
            IntegrationRow.name,
            version.number,
            latest.id,
            latest.number,
            DeploymentRow.version_number,
            _failed(),
            _last_execution_at(),
        )
        .join(CustomerRow, CustomerRow.id == InstanceRow.customer_id)
        .join(IntegrationRow, IntegrationRow.id == InstanceRow.integration_id)
        .join(version, version.id == InstanceRow.version_id)
        .outerjoin(latest, latest.id == newest)
        .outerjoin(DeploymentRow, DeploymentRow.id == InstanceRow.deployment_id)
    )


def _chosen(session: AsyncSession, wanted: InstanceFilter, page: Page, order: InstanceOrder | None) -> Select[str]:
    query = select(InstanceRow.id).where(*_conditions(session, wanted))
    if order is None:
        return paged(query, InstanceRow.id, page)
    holder = order.sort.column.class_
    if holder is not InstanceRow:
        query = query.join(holder)
    return sorted_page(query, order.sort, InstanceRow.id, page)


def _conditions(session: AsyncSession, wanted: InstanceFilter) -> list[ColumnElement[bool]]:
    any_of = (
        (InstanceRow.customer_id, wanted.customer_ids),
        (InstanceRow.integration_id, wanted.integration_ids),
        (InstanceRow.version_id, wanted.version_ids),
        (_state(), wanted.states),
    )
    texts = ((InstanceRow.name, wanted.q), (InstanceRow.description, wanted.description))
    switches = (
        (InstanceRow.enabled, wanted.enabled),
        (InstanceRow.configured, wanted.configured),
        (InstanceRow.needs_deploy, wanted.needs_deploy),
        (InstanceRow.deleting, wanted.deleting),
        (_failed(), wanted.failed),
        (_visible_to_customer(), wanted.visible_to_customer),
        (InstanceRow.suspended_at.is_not(None), wanted.suspended),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(ids) for column, ids in any_of if ids]
    conditions += [contains_text(column, text) for column, text in texts if text]
    conditions += [and_(column) if on else not_(column) for column, on in switches if on is not None]
    if wanted.labels:
        conditions.append(has_labels(session, InstanceRow.labels, wanted.labels))
    return conditions
