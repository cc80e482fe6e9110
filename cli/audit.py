"""`flowgraft audit`."""

from dataclasses import dataclass

import typer

from cli.client import at
from cli.session import Many, Paging, Session, Text, command

COLUMNS = "at principal action object_id details"

app = typer.Typer(no_args_is_help=True, help="Who did what. It needs the scope admin.")


@dataclass(frozen=True)
class Filters:
    principal: Many = None
    action: Many = None
    object_id: Many = None
    instance_id: Many = None
    customer_id: Many = None
    after: Text = None
    before: Text = None


@command(app, "list")
def list_(session: Session, filters: Filters, paging: Paging) -> None:
    """List every write, newest first."""
    session.listed(at("audit"), COLUMNS, paging, filters)
