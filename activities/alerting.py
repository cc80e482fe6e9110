"""From what fires to alerts and messages on their way, in the transaction that says why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.outbox import announce
from domain.alerts import TRIGGERED, Alert, Happening, event_data
from domain.monitors import Trigger
from domain.notifications import TEXT, Body, DeliveryState, TargetKind, envelope, rendered
from runtime.clock import utcnow
from runtime.ids import new_id
from store.alerts import Alerts
from store.deliveries import Deliveries
from store.monitors import MaintenanceWindows, Monitors
from store.tables import EventEndpointRow, MaintenanceWindowRow, MonitorRow, TargetRow
from store.targets import Targets


@dataclass(frozen=True)
class Firing:
    monitor: MonitorRow
    trigger: Trigger | None  # None: a test of the monitor
    happening: Happening


class Alerting:
    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    async def fire(self, session: AsyncSession, firings: Sequence[Firing]) -> list[str]:
        """Writes an alert for each, and what is to be sent; the alerts' ids."""
        now = utcnow()
        windows = await MaintenanceWindows(session).at(now)
        targets = await _targets_of(session, sorted({firing.monitor.id for firing in firings}))
        alerts: list[dict[str, Any]] = []
        deliveries: list[dict[str, Any]] = []
        triggered: dict[str, str] = {}
        for firing in firings:
            alert = self._alert(firing)
            suppressed = firing.trigger is not None and _is_suppressed(firing, windows, now)
            alerts.append(_alert_row(alert, suppressed=suppressed))
            if suppressed:
                continue
            deliveries += [_delivery_row(alert, each, now) for each in targets.get(firing.monitor.id, ())]
            if firing.trigger is not None:
                triggered[firing.monitor.id] = alert.id
                announce(session, TRIGGERED, firing.happening.place, object_id=alert.monitor_id, details=_told(alert))
        await Alerts(session).add_many(alerts)
        await Deliveries(session).add_many(deliveries)
        await Monitors(session).trigger(triggered, now)
        return [row["id"] for row in alerts]

    def _alert(self, firing: Firing) -> Alert:
        alert_id, about = new_id("alert"), firing.happening
        if about.execution_id:
            path = f"executions/{about.execution_id}"
        else:
            path = f"instances/{about.place.instance_id}" if about.place.instance_id else f"alerts/{alert_id}"
        url = f"{self._public_url}/v1/{path}"
        return Alert(alert_id, firing.monitor.id, firing.monitor.name, firing.trigger, about, url)


async def _targets_of(session: AsyncSession, monitor_ids: Sequence[str]) -> dict[str, list[TargetRow]]:
    """Those that can be told anything, with those of the groups; none twice."""
    own = await Targets(session).of(monitor_ids)
    groups = {row.address for rows in own.values() for row in rows if row.kind == TargetKind.GROUP}
    of_groups = await Targets(session).of(sorted(groups))
    found: dict[str, list[TargetRow]] = {}
    for monitor_id, rows in own.items():
        every = [each for row in rows for each in (of_groups.get(row.address, []) if _is_group(row) else [row])]
        usable = {_identity(each): each for each in every if each.disabled_at is None}
        found[monitor_id] = list(usable.values())
    return found


def _is_group(row: TargetRow) -> bool:
    return row.kind == TargetKind.GROUP


def _identity(row: TargetRow) -> str:
    return row.address if row.kind == TargetKind.EMAIL else row.id


def event_row(
    endpoint: EventEndpointRow, target: TargetRow, about: Happening, now: datetime, *, is_test: bool = False
) -> dict[str, Any]:
    body = envelope(about.kind, about.at, event_data(about))
    ids = {"endpoint_id": endpoint.id, "customer_id": about.place.customer_id}
    return _delivery(target, about.kind, about.kind, body, now, is_test=is_test) | ids


def _delivery_row(alert: Alert, target: TargetRow, now: datetime) -> dict[str, Any]:
    about, event = alert.happening, TRIGGERED if alert.trigger else "monitor.test"
    subject, text = alert.email()
    if target.kind == TargetKind.EMAIL:
        body = Body(text, TEXT)
    elif target.template is not None:
        body = rendered(target.template, alert.variables())
    else:
        body = envelope(event, about.at, alert.data())
    row = _delivery(target, event, subject, body, now, is_test=alert.trigger is None)
    return row | {"alert_id": alert.id, "customer_id": about.place.customer_id}


def _delivery(
    target: TargetRow, event: str, subject: str, body: Body, now: datetime, *, is_test: bool
) -> dict[str, Any]:
    return {
        "id": new_id("dlv"),
        "alert_id": None,
        "endpoint_id": None,
        "target_id": target.id,
        "kind": target.kind,
        "address": target.address,
        "event": event,
        "subject": subject,
        "body": body.text,
        "content_type": body.content_type,
        "is_test": is_test,
        "state": DeliveryState.PENDING.value,
        "attempts": 0,
        "failed_in_a_row": 0,
        "due_at": now,
        "created_at": now,
        "updated_at": now,
    }


def _alert_row(alert: Alert, *, suppressed: bool) -> dict[str, Any]:
    about, place = alert.happening, alert.happening.place
    return {
        "id": alert.id,
        "at": about.at,
        "monitor_id": alert.monitor_id,
        "monitor_name": alert.monitor_name,
        "trigger": alert.data()["trigger"],
        "message": alert.message,
        "suppressed": suppressed,
        "is_test": alert.trigger is None,
        "customer_id": place.customer_id,
        "integration_id": place.integration_id,
        "instance_id": place.instance_id,
        "flow_id": place.flow_id,
        "execution_id": about.execution_id,
        "connection_id": about.object_id if about.kind.startswith("connection.") else None,
        "step": about.step,
        "error": about.error,
        "names": about.names,
    }


def _told(alert: Alert) -> dict[str, Any]:
    return {key: value for key, value in alert.data().items() if key in ("alert_id", "message", "monitor", "trigger")}


def _is_suppressed(firing: Firing, windows: Sequence[MaintenanceWindowRow], now: datetime) -> bool:
    """By the monitor's own maintenance, or by that of all, of the customer or of the instance."""
    monitor, place = firing.monitor, firing.happening.place
    if monitor.maintenance_from and monitor.maintenance_to and monitor.maintenance_from <= now < monitor.maintenance_to:
        return True
    return any(
        window.customer_id in (None, place.customer_id) and window.instance_id in (None, place.instance_id)
        for window in windows
    )
