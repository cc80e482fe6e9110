"""What can be done with instances: make them, find them, move them to another version."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.configuration import Configuration
from activities.connection_fields import ensure_references
from activities.deploys import sync_flows
from activities.endpoints import common
from activities.holding import may_hold
from activities.vault import Vault
from activities.versions import move
from api.customers.service import ensure_stays as ensure_customer_stays
from api.etags import Precondition
from api.events import record
from api.flows.service import FlowView
from api.flows.service import views as flow_views
from api.instances import access
from api.integrations.versions_service import chosen, offered
from domain.config import check_values, config_state, with_changes
from domain.definitions.model import Definition
from domain.errors import Invalid, NotFound, Problem
from runtime.clock import utcnow
from runtime.ids import new_id
from store.connections import Connections
from store.customers import Customers
from store.endpoints import Addressed
from store.events import EventFilter, Events
from store.held import HeldExecutions
from store.instances import InstanceFilter, InstanceOrder, Instances, InstanceView
from store.integrations import Integrations
from store.paging import Page
from store.tables import CustomerRow, EventRow, InstanceRow, IntegrationRow, VersionRow


@dataclass(frozen=True)
class InstanceShown:
    view: InstanceView
    flows: list[FlowView]
    address: Addressed | None  # what all of its webhooks come in through, if they have it in common
    connection_error: str | None = None
    held: int = 0


async def create(
    session: AsyncSession, vault: Vault, principal: str, values: dict[str, Any], config: dict[str, Any]
) -> InstanceShown:
    """Not deployed. Its flows have their URLs from the start. Raises Invalid, Conflict `no_version`."""
    customer, integration = await _parents(session, values)
    ensure_customer_stays(customer)
    version = await chosen(session, integration, values["version_id"])
    definition = Definition.model_validate(version.definition)
    given = {key: value for key, value in config.items() if value is not None}
    ensure_fits(definition, given, "#/config")
    given = with_changes(definition.fields(), {}, given)
    await ensure_references(session, customer.id, definition.fields(), given, "#/config")
    row = _row(values, integration, version, configured=config_state(definition.fields(), given))
    Instances(session).add(row)
    await session.flush()
    await Configuration(vault).write(session, row, definition.fields(), given, row.created_at)
    await sync_flows(session, row.id, definition, row.created_at)
    note(session, principal, "instance.created", row, version=version.number)
    if given:
        note(session, principal, "instance.configured", row, keys=sorted(given))
    return await get(session, row.id)


async def find(
    session: AsyncSession, wanted: InstanceFilter, page: Page, order: InstanceOrder | None = None
) -> Sequence[InstanceShown]:
    return await _shown(session, await Instances(session).list(wanted, page, order))


async def get(session: AsyncSession, instance_id: str) -> InstanceShown:
    view = await Instances(session).view(instance_id)
    if view is None:
        raise NotFound("There is no such instance.")
    return (await _shown(session, [view]))[0]


async def find_events(session: AsyncSession, instance_id: str, page: Page) -> Sequence[EventRow]:
    row = await access.get(session, instance_id)
    return await Events(session).list(EventFilter(instance_ids=[row.id]), page)


async def update(
    session: AsyncSession,
    vault: Vault,
    principal: str,
    instance_id: str,
    changes: dict[str, Any],
    precondition: Precondition,
) -> InstanceShown:
    row = await access.changeable(session, instance_id, precondition)
    changed = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if changed:
        if "version_id" in changed:
            await _move(session, vault, row, changed["version_id"])
        for name, value in changed.items():
            setattr(row, name, value)
        touch(row)
        note(session, principal, "instance.updated", row, changed=sorted(changed))
    return await get(session, row.id)


def ensure_fits(definition: Definition, values: dict[str, Any], pointer: str) -> None:
    """Raises Invalid with a pointer per key."""
    problems = check_values(definition.fields(), values, pointer)
    if problems:
        noun = "value does" if len(problems) == 1 else "values do"
        raise Invalid(f"{len(problems)} {noun} not fit.", problems)


def touch(row: InstanceRow) -> None:
    row.revision += 1
    row.updated_at = utcnow()


def note(session: AsyncSession, principal: str, action: str, row: InstanceRow, **details: Any) -> None:
    record(session, principal, action, row.id, instance_id=row.id, customer_id=row.customer_id, details=dict(details))


async def _parents(session: AsyncSession, values: dict[str, Any]) -> tuple[CustomerRow, IntegrationRow]:
    """The customer is locked, so that a delete of it finds this instance."""
    customer = await Customers(session).get(values["customer_id"], for_update=True)
    integration = await Integrations(session).get(values["integration_id"])
    if customer is not None and integration is not None:
        return customer, integration
    found = {"customer": customer, "integration": integration}
    problems = [
        Problem(f"#/{noun}_id", "not_found", f"There is no such {noun}.") for noun, row in found.items() if row is None
    ]
    raise Invalid(problems[0].detail, problems)


def _row(values: dict[str, Any], integration: IntegrationRow, version: VersionRow, *, configured: bool) -> InstanceRow:
    now = utcnow()
    labels = integration.labels if values["labels"] is None else values["labels"]
    return InstanceRow(
        id=new_id("inst"),
        customer_id=values["customer_id"],
        integration_id=integration.id,
        version_id=version.id,
        name=values["name"],
        description=values["description"],
        labels=labels,
        configured=configured,
        created_at=now,
        updated_at=now,
    )


async def _move(session: AsyncSession, vault: Vault, row: InstanceRow, version_id: str) -> None:
    """What another version means at once. A deployed instance's flows stay as they are until it is deployed again."""
    version = await offered(session, row.integration_id, version_id)
    definition = await move(session, Configuration(vault), row, version)
    if row.deployment_id is None:
        await sync_flows(session, row.id, definition, utcnow())


async def _shown(session: AsyncSession, views: Sequence[InstanceView]) -> list[InstanceShown]:
    flows = await flow_views(session, [view.row for view in views])
    addresses = await common(session, [view.row for view in views])
    errors = await Connections(session).errors([view.row.id for view in views])
    held = await HeldExecutions(session).counts([view.row.id for view in views if may_hold(view.row)])
    return [
        InstanceShown(
            view,
            flows[view.row.id],
            addresses.get(view.row.id),
            errors.get(view.row.id),
            held.get(view.row.id, 0),
        )
        for view in views
    ]
