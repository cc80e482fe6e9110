"""`flowgraft maintenance`: times in which alerts are recorded and not sent."""

from typing import Annotated

import typer

from cli.client import at
from cli.session import Paging, Session, command

COLUMNS = "id from to customer_id instance_id note"

app = typer.Typer(no_args_is_help=True, help="Maintenance windows: alerts are recorded and not sent.")

WindowId = Annotated[str, typer.Argument(metavar="ID", help="mw_…")]


@command(app, "list")
def list_(session: Session, paging: Paging) -> None:
    """List maintenance windows, newest first."""
    session.listed(at("maintenance_windows"), COLUMNS, paging)


@command(app, "get")
def get(session: Session, window_id: WindowId) -> None:
    """Show a maintenance window."""
    session.out.item(session.api.get(at("maintenance_windows", window_id)), COLUMNS)


@command(app, "create")
def create(
    session: Session,
    begin: Annotated[str, typer.Option("--from", help="2026-03-01T22:00:00Z")],
    end: Annotated[str, typer.Option("--to", help="2026-03-02T02:00:00Z")],
    customer_id: Annotated[str | None, typer.Option("--customer-id", "-c", help="Only of this customer")] = None,
    instance_id: Annotated[str | None, typer.Option("--instance-id", "-i", help="Only of this instance")] = None,
    note: Annotated[str | None, typer.Option("--note")] = None,
) -> None:
    """Announce a maintenance, of everybody unless told otherwise."""
    body = {"from": begin, "to": end, "customer_id": customer_id, "instance_id": instance_id, "note": note}
    session.out.item(session.api.post(at("maintenance_windows"), body), COLUMNS)


@command(app, "delete")
def delete(session: Session, window_id: WindowId) -> None:
    """End or call off a maintenance."""
    session.api.delete(at("maintenance_windows", window_id))
    session.out.talk(f"{window_id} is deleted.")
