"""`flowgraft connections`: connections that several instances can use."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from cli.client import at
from cli.connecting import Assignments, ConnectOptions, try_out
from cli.connecting import connect as connect_at
from cli.connecting import import_tokens as import_tokens_at
from cli.given import read_object, values
from cli.session import Many, Paging, Session, Text, command

COLUMNS = "id name kind customer_id status used_by waiting_executions expires_at error"
FIELDS = (
    "id name kind customer_id status values used_by waiting_executions connected_at expires_at error created_at "
    "updated_at"
)

app = typer.Typer(no_args_is_help=True, help="Connections that several instances can use.")

ConnectionId = Annotated[str, typer.Argument(metavar="ID", help="conn_…")]
Inputs = Annotated[list[str] | None, typer.Argument(help="Of its kind: key=text, key:=json, key=@file, key=@-")]
File = Annotated[str | None, typer.Option("--file", "-f", help="The inputs as JSON or YAML")]


@dataclass(frozen=True)
class Filters:
    q: Text = None
    kind: Many = None
    customer_id: Annotated[list[str] | None, typer.Option(help="cust_… or organization; repeated: any of them")] = None
    status: Many = None


@command(app, "list")
def list_(session: Session, filters: Filters, paging: Paging) -> None:
    """List reusable connections, newest first."""
    session.listed(at("connections"), COLUMNS, paging, filters)


@command(app, "get")
def get(session: Session, connection_id: ConnectionId) -> None:
    """Show a reusable connection. Secrets never come back."""
    session.out.item(session.api.get(at("connections", connection_id)), FIELDS)


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Option("--name", "-n")],
    kind: Annotated[str, typer.Option("--kind", "-k", help="http/bearer, http/basic, http/api_key, http/oauth2")],
    inputs: Inputs = None,
    file: File = None,
    customer_id: Annotated[str | None, typer.Option("--customer-id", "-c", help="Default: for all customers")] = None,
) -> None:
    """Create a connection that several instances can use."""
    given = (read_object(file) if file else {}) | values(inputs or [])
    body = {"name": name, "kind": kind, "customer_id": customer_id, "values": given}
    session.out.item(session.api.post(at("connections"), body), FIELDS)


@command(app, "update")
def update(
    session: Session,
    connection_id: ConnectionId,
    inputs: Inputs = None,
    file: File = None,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
) -> None:
    """Change the inputs given; key:=null takes one away. It takes effect at the next step."""
    given = (read_object(file) if file else {}) | values(inputs or [])
    body = ({"values": given} if given else {}) | ({"name": name} if name is not None else {})
    session.out.item(session.api.patch(at("connections", connection_id), body), FIELDS)


@command(app, "delete")
def delete(session: Session, connection_id: ConnectionId) -> None:
    """Delete a reusable connection that no instance uses."""
    session.api.delete(at("connections", connection_id))
    session.out.talk(f"{connection_id} is deleted.")


@command(app, "connect")
def connect(session: Session, connection_id: ConnectionId, options: ConnectOptions) -> None:
    """Authorise an OAuth connection in the browser, for the first time or again."""
    path = at("connections", connection_id)
    connect_at(session, path, options, partial(session.api.get, path), FIELDS)


@command(app, "test")
def test(session: Session, connection_id: ConnectionId) -> None:
    """Try it out. Exit code 1 unless it works."""
    try_out(session, at("connections", connection_id))


@command(app, "disconnect")
def disconnect(session: Session, connection_id: ConnectionId) -> None:
    """Forget and revoke its tokens, everywhere it is used."""
    session.out.item(session.api.post(f"{at('connections', connection_id)}/disconnect"), FIELDS)


@command(app, "import-tokens")
def import_tokens(session: Session, connection_id: ConnectionId, tokens: Assignments) -> None:
    """Take over tokens that were got elsewhere with the same client."""
    import_tokens_at(session, at("connections", connection_id), tokens, FIELDS)
