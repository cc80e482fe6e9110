"""`flowgraft labels`."""

from typing import Annotated

import typer

from cli.client import at
from cli.session import Paging, Session, Text, command

app = typer.Typer(no_args_is_help=True, help="The labels in use.")


@command(app, "list")
def list_(
    session: Session,
    paging: Paging,
    resource: Annotated[str, typer.Option(help="instances, customers or integrations")] = "instances",
    q: Text = None,
) -> None:
    """List labels in alphabetical order; --q is how they begin."""
    session.listed(at("labels"), "label count", paging, resource=resource, q=q)
