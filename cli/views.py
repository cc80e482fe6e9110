"""`flowgraft views`: named filters of lists, shared by everybody."""

from typing import Annotated

import typer

from cli.client import at
from cli.given import pairs
from cli.session import Many, Paging, Session, command

COLUMNS = "id name resource query"
FIELDS = "id name resource query path created_at updated_at"

app = typer.Typer(no_args_is_help=True, help="Saved views: named filters of lists.")

ViewId = Annotated[str, typer.Argument(metavar="ID", help="view_…")]
Filters = Annotated[list[str], typer.Option("--filter", help="name=value, as the list's address takes it; repeated")]


@command(app, "list")
def list_(session: Session, paging: Paging, resource: Many = None, name: Many = None) -> None:
    """List saved views, newest first."""
    session.listed(at("views"), COLUMNS, paging, resource=resource, name=name)


@command(app, "get")
def get(session: Session, view_id: ViewId) -> None:
    """Show a saved view."""
    session.out.item(session.api.get(at("views", view_id)), FIELDS)


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Option("--name", "-n")],
    filters: Filters,
    resource: Annotated[str, typer.Option(help="instances, customers, executions or logs")] = "instances",
) -> None:
    """Save filters under a name. `flowgraft instances list --view NAME` uses them."""
    body = {"name": name, "resource": resource, "query": _query(filters)}
    session.out.item(session.api.post(at("views"), body), FIELDS)


@command(app, "update")
def update(
    session: Session,
    view_id: ViewId,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
    filters: Annotated[list[str] | None, typer.Option("--filter", help="name=value; replaces all of them")] = None,
) -> None:
    """Change what is given."""
    given = {"name": name, "query": _query(filters) if filters else None}
    body = {key: value for key, value in given.items() if value is not None}
    session.out.item(session.api.patch(at("views", view_id), body), FIELDS)


@command(app, "delete")
def delete(session: Session, view_id: ViewId) -> None:
    """Forget a saved view."""
    session.api.delete(at("views", view_id))
    session.out.talk(f"{view_id} is deleted.")


def query_of(session: Session, resource: str, name: str) -> dict[str, list[str]]:
    """The filters of a saved view of this list. Ends the command when there is none of this name."""
    found = session.api.get(at("views"), resource=resource, name=name)["data"]
    if not found:
        raise typer.BadParameter(f"There is no view of {resource} called {name}; see flowgraft views list")
    query: dict[str, list[str]] = found[0]["query"]
    return query


def _query(filters: list[str]) -> dict[str, list[str]]:
    query: dict[str, list[str]] = {}
    for text in filters:
        for name, value in pairs([text], "=").items():
            query.setdefault(name, []).append(value)
    return query
