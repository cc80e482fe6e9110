"""`flowgraft alerts`: what monitors have found, and what was sent about it."""

from dataclasses import dataclass
from typing import Annotated

import typer

from cli.client import at
from cli.session import Flag, Many, Paging, Session, Text, command

COLUMNS = "id created_at monitor.name trigger.type suppressed customer.name instance.name message"
FIELDS = f"{COLUMNS} flow.name execution_id step error.code error.message"
SENT_COLUMNS = "id kind to state status_code error next_attempt_at"

app = typer.Typer(no_args_is_help=True, help="Alerts: what monitors have found.")

AlertId = Annotated[str, typer.Argument(metavar="ID", help="alert_…")]


@dataclass(frozen=True)
class Filters:
    q: Text = None
    customer_id: Many = None
    integration_id: Many = None
    instance_id: Many = None
    flow_id: Many = None
    execution_id: Many = None
    suppressed: Flag = None
    after: Text = None
    before: Text = None


@command(app, "list")
def list_(
    session: Session,
    filters: Filters,
    paging: Paging,
    monitor_id: Annotated[list[str] | None, typer.Argument(metavar="[MONITOR]…", help="mon_…: of these only")] = None,
) -> None:
    """List alerts, newest first."""
    session.listed(at("alerts"), COLUMNS, paging, filters, monitor_id=monitor_id)


@command(app, "get")
def get(session: Session, alert_id: AlertId) -> None:
    """Show an alert, and what has become of its messages."""
    alert = session.api.get(at("alerts", alert_id))
    session.out.item(alert, FIELDS)
    if not session.out.is_document:
        session.out.items(alert["deliveries"], SENT_COLUMNS)
