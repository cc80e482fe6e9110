"""`flowgraft alert-groups`: whom several monitors tell."""

from typing import Annotated

import typer

from cli.client import at
from cli.session import Many, Paging, Session, command
from cli.telling import Members

COLUMNS = "id name emails webhooks"
FIELDS = f"{COLUMNS} created_at updated_at"

app = typer.Typer(no_args_is_help=True, help="Alert groups: whom several monitors tell.")

GroupId = Annotated[str, typer.Argument(metavar="ID", help="grp_…")]


@command(app, "list")
def list_(session: Session, paging: Paging, name: Many = None) -> None:
    """List alert groups, newest first."""
    session.listed(at("alert_groups"), COLUMNS, paging, name=name)


@command(app, "get")
def get(session: Session, group_id: GroupId) -> None:
    """Show an alert group."""
    session.out.item(session.api.get(at("alert_groups", group_id)), FIELDS)


@command(app, "create")
def create(session: Session, name: Annotated[str, typer.Option("--name", "-n")], members: Members) -> None:
    """Create a group. The secrets of its webhooks are shown once: `-o json`."""
    session.out.item(session.api.post(at("alert_groups"), {"name": name} | members.given()), FIELDS)


@command(app, "update")
def update(
    session: Session,
    group_id: GroupId,
    members: Members,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
) -> None:
    """Change what is given; addresses and webhooks are replaced whole."""
    body = ({} if name is None else {"name": name}) | members.given()
    session.out.item(session.api.patch(at("alert_groups", group_id), body), FIELDS)


@command(app, "delete")
def delete(session: Session, group_id: GroupId) -> None:
    """Delete a group. Monitors that told it tell it no more."""
    session.api.delete(at("alert_groups", group_id))
    session.out.talk(f"{group_id} is deleted.")
