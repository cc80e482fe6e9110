"""`flowgraft monitors`: what is watched, and who is told."""

from dataclasses import dataclass
from typing import Annotated

import typer

from cli.client import Json, at
from cli.given import read_object
from cli.session import Flag, Many, Paging, Session, Text, command
from cli.telling import Targets
from domain.monitors import LIMITS, TriggerType

COLUMNS = "id name enabled triggered triggers instance_id customer_id integration_id flow_id"
FIELDS = f"{COLUMNS} notify maintenance triggered_at last_alert_id created_at updated_at"
SENT_COLUMNS = "id kind to state status_code error"

app = typer.Typer(no_args_is_help=True, help="Monitors: what is watched, and who is told.")

MonitorId = Annotated[str, typer.Argument(metavar="ID", help="mon_…")]
Triggers = Annotated[
    list[str] | None,
    typer.Option("--trigger", "-t", help="execution_failed, execution_slow=SECONDS, log_severity=error …; repeated"),
]
File = Annotated[str | None, typer.Option("--file", "-f", help="The rest of it as JSON or YAML")]


@dataclass(frozen=True)
class Filters:
    q: Text = None
    name: Many = None
    customer_id: Many = None
    integration_id: Many = None
    instance_id: Many = None
    flow_id: Many = None
    triggered: Flag = None
    enabled: Flag = None


@dataclass(frozen=True)
class Scope:
    """Without any of them: all instances."""

    instance_id: Annotated[str | None, typer.Option("--instance-id", "-i", help="This instance")] = None
    customer_id: Annotated[str | None, typer.Option("--customer-id", "-c", help="All of this customer")] = None
    integration_id: Annotated[str | None, typer.Option(help="All of this integration")] = None
    flow_id: Annotated[str | None, typer.Option(help="This flow of an instance")] = None


@dataclass(frozen=True)
class Maintenance:
    maintenance_from: Annotated[str | None, typer.Option(help="From then on alerts are recorded and not sent")] = None
    maintenance_to: Annotated[str | None, typer.Option(help="Until then")] = None

    def given(self) -> Json:
        window = {"from": self.maintenance_from, "to": self.maintenance_to}
        return {"maintenance": window} if any(window.values()) else {}


@command(app, "list")
def list_(session: Session, filters: Filters, paging: Paging) -> None:
    """List monitors, newest first."""
    session.listed(at("monitors"), COLUMNS, paging, filters)


@command(app, "get")
def get(session: Session, monitor_id: MonitorId) -> None:
    """Show a monitor."""
    session.out.item(session.api.get(at("monitors", monitor_id)), FIELDS)


@command(app, "create")
def create(
    session: Session,
    scope: Scope,
    targets: Targets,
    maintenance: Maintenance,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
    trigger: Triggers = None,
    file: File = None,
) -> None:
    """Create a monitor. The secrets of its webhooks are shown once: `-o json`."""
    given: Json = {key: value for key, value in vars(scope).items() if value is not None}
    given |= _changes(name, trigger, targets, maintenance)
    session.out.item(session.api.post(at("monitors"), (read_object(file) if file else {}) | given), FIELDS)


@command(app, "update")
def update(
    session: Session,
    monitor_id: MonitorId,
    targets: Targets,
    maintenance: Maintenance,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
    trigger: Triggers = None,
    file: File = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable")] = None,
) -> None:
    """Change what is given; triggers and targets are replaced whole."""
    given = _changes(name, trigger, targets, maintenance) | ({} if enabled is None else {"enabled": enabled})
    body = (read_object(file) if file else {}) | given
    session.out.item(session.api.patch(at("monitors", monitor_id), body), FIELDS)


@command(app, "delete")
def delete(session: Session, monitor_id: MonitorId) -> None:
    """Delete a monitor. Its alerts stay."""
    session.api.delete(at("monitors", monitor_id))
    session.out.talk(f"{monitor_id} is deleted.")


@command(app, "clear")
def clear(session: Session, monitor_id: MonitorId) -> None:
    """Take note: it is no longer triggered."""
    session.out.item(session.api.post(f"{at('monitors', monitor_id)}/clear"), FIELDS)


@command(app, "test")
def test(session: Session, monitor_id: MonitorId) -> None:
    """Send a test to all its targets. `flowgraft alerts get` tells what has arrived."""
    answer = session.api.post(f"{at('monitors', monitor_id)}/test")
    if session.out.is_document:
        session.out.value(answer)
        return
    session.out.items(answer["deliveries"], SENT_COLUMNS)
    session.out.talk(f"flowgraft alerts get {answer['alert_id']}")


def _changes(name: str | None, triggers: list[str] | None, targets: Targets, maintenance: Maintenance) -> Json:
    given = {"name": name, "triggers": [_trigger(each) for each in triggers or []], "notify": targets.notify()}
    return {key: value for key, value in given.items() if value} | maintenance.given()


def _trigger(text: str) -> Json:
    """`execution_slow=60`: what stands behind `=` is its limit. What makes no sense the API refuses."""
    kind, separator, limit = text.partition("=")
    if not separator:
        return {"type": kind}
    name = LIMITS.get(TriggerType(kind)) if kind in set(TriggerType) else None
    if name is None:
        raise typer.BadParameter(f"{text!r}: only {', '.join(LIMITS)} have a limit")
    return {"type": kind, name: limit if name == "severity" else _number(text, limit)}


def _number(text: str, limit: str) -> float:
    try:
        number = float(limit)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: {limit!r} is no number") from None
    return int(number) if number.is_integer() else number
