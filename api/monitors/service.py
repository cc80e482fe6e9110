"""Making, changing, clearing and trying out monitors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.alerting import Alerting, Firing
from activities.happenings import named
from activities.outbox import place_of, waken
from activities.targets import NewSecrets, Wanted
from activities.vault import Vault
from api import targets
from api.etags import Precondition
from api.events import record
from domain.alerts import Happening
from domain.errors import Invalid, NotFound, Problem
from runtime.clock import utcnow
from runtime.ids import new_id
from store.customers import Customers
from store.instance_flows import InstanceFlows
from store.instances import Instances
from store.integrations import Integrations
from store.monitors import MonitorFilter, Monitors
from store.paging import Page
from store.tables import MonitorRow, TargetRow
from store.targets import Targets

OWNER = "monitor"
SCOPES = ("customer_id", "integration_id", "instance_id")


@dataclass(frozen=True)
class MonitorView:
    """`shown` are the secrets that were made just now."""

    row: MonitorRow
    targets: Sequence[TargetRow]
    shown: NewSecrets = field(default_factory=dict)


async def create(
    session: AsyncSession, vault: Vault, principal: str, values: dict[str, Any], wanted: Sequence[Wanted]
) -> MonitorView:
    """Raises Invalid for a place that is not there."""
    scope = {name: values[name] for name in (*SCOPES, "flow_id")}
    scope["instance_id"] = await _instance_id(session, scope)
    now = utcnow()
    row = MonitorRow(id=new_id("mon"), revision=1, armed_at=now, created_at=now, updated_at=now, **(values | scope))
    Monitors(session).add(row)
    await session.flush()
    shown = await targets.put(session, vault, (OWNER, row.id), wanted, "#/notify")
    _note(session, principal, "monitor.created", row)
    return await _view(session, row, shown)


async def find(session: AsyncSession, wanted: MonitorFilter, page: Page) -> Sequence[MonitorView]:
    rows = await Monitors(session).list(wanted, page)
    found = await Targets(session).of([row.id for row in rows])
    return [MonitorView(row, found.get(row.id, [])) for row in rows]


async def get(session: AsyncSession, monitor_id: str) -> MonitorView:
    return await _view(session, await _row(session, monitor_id), {})


async def update(
    session: AsyncSession,
    vault: Vault,
    principal: str,
    monitor_id: str,
    changes: dict[str, Any],
    wanted: Sequence[Wanted] | None,
    precondition: Precondition,
) -> MonitorView:
    """`wanted` None: its targets stay as they are."""
    row = await _row(session, monitor_id, for_update=True)
    precondition.ensure(row.revision)
    changed = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if changed.get("enabled") or "triggers" in changed:
        row.armed_at = utcnow()
    for name, value in changed.items():
        setattr(row, name, value)
    shown: NewSecrets = {}
    if wanted is not None:
        shown = await targets.put(session, vault, (OWNER, row.id), wanted, "#/notify")
    if changed or wanted is not None:
        row.revision += 1
        row.updated_at = utcnow()
        names = sorted([*changed, *(["notify"] if wanted is not None else [])])
        _note(session, principal, "monitor.updated", row, changed=names)
    return await _view(session, row, shown)


async def delete(session: AsyncSession, principal: str, monitor_id: str, precondition: Precondition) -> None:
    """Its alerts stay."""
    row = await _row(session, monitor_id, for_update=True)
    precondition.ensure(row.revision)
    _note(session, principal, "monitor.deleted", row)
    await Monitors(session).delete([row.id])


async def clear(session: AsyncSession, principal: str, monitor_id: str) -> MonitorView:
    """Clearing what is not triggered changes nothing."""
    row = await _row(session, monitor_id, for_update=True)
    if row.triggered_at is not None:
        row.triggered_at = None
        _note(session, principal, "monitor.cleared", row, alert_id=row.last_alert_id)
    return await _view(session, row, {})


async def test(session: AsyncSession, public_url: str, principal: str, monitor_id: str) -> str:
    """The id of the alert whose messages are on their way; it triggers nothing."""
    row = await _row(session, monitor_id, for_update=True)
    about = Happening("monitor.test", utcnow(), place_of(row), object_id=row.id, principal=principal)
    [complete] = await named(session, [about])
    alerting = Alerting(public_url)
    [alert_id] = await alerting.fire(session, [Firing(row, None, complete)])
    _note(session, principal, "monitor.tested", row, alert_id=alert_id)
    waken(session)
    return alert_id


async def _instance_id(session: AsyncSession, scope: dict[str, Any]) -> str | None:
    """Of the flow, where one is given."""
    given = [name for name in SCOPES if scope[name]]
    if len(given) > 1:
        raise _invalid(given[1], "too_many", f"Give one of {', '.join(SCOPES)}, or none.")
    await _ensure_there(session, scope)
    if not scope["flow_id"]:
        instance_id: str | None = scope["instance_id"]
        return instance_id
    flow = await InstanceFlows(session).get(scope["flow_id"])
    if flow is None or scope["instance_id"] not in (None, flow.instance_id):
        raise _invalid("flow_id", "not_found", "There is no such flow.")
    if given not in ([], ["instance_id"]):
        raise _invalid("flow_id", "too_many", f"A flow is of one instance: leave out {given[0]}.")
    return flow.instance_id


async def _ensure_there(session: AsyncSession, scope: dict[str, Any]) -> None:
    there = {
        "customer_id": not scope["customer_id"] or await Customers(session).get(scope["customer_id"]),
        "integration_id": not scope["integration_id"] or await Integrations(session).get(scope["integration_id"]),
        "instance_id": not scope["instance_id"] or await Instances(session).get(scope["instance_id"]),
    }
    for name, found in there.items():
        if not found:
            raise _invalid(name, "not_found", f"There is no such {name.removesuffix('_id')}.")


def _invalid(name: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, [Problem(f"#/{name}", code, detail)])


async def _row(session: AsyncSession, monitor_id: str, *, for_update: bool = False) -> MonitorRow:
    row = await Monitors(session).get(monitor_id, for_update=for_update)
    if row is None:
        raise NotFound("There is no such monitor.")
    return row


async def _view(session: AsyncSession, row: MonitorRow, shown: NewSecrets) -> MonitorView:
    return MonitorView(row, (await Targets(session).of([row.id])).get(row.id, []), shown)


def _note(session: AsyncSession, principal: str, action: str, row: MonitorRow, **details: Any) -> None:
    record(
        session, principal, action, row.id, instance_id=row.instance_id, customer_id=row.customer_id, details=details
    )
