"""`flowgraft api-keys`: who may call the API."""

from typing import Annotated

import typer

from cli.client import at
from cli.session import Paging, Session, command

COLUMNS = "id name scopes expires_at last_used_at created_at"

app = typer.Typer(no_args_is_help=True, help="Keys of the API. They need the scope admin.")


@command(app, "list")
def list_(session: Session, paging: Paging) -> None:
    """List API keys, newest first."""
    session.listed(at("api_keys"), COLUMNS, paging)


@command(app, "create")
def create(
    session: Session,
    name: Annotated[str, typer.Option("--name", "-n", help="Whose")],
    scope: Annotated[list[str], typer.Option("--scope", "-s", help="read, execute, write or admin")],
    expires_at: Annotated[str | None, typer.Option(help="Such as 2030-01-01T00:00:00Z")] = None,
) -> None:
    """Create an API key. It is shown this once."""
    body = {"name": name, "scopes": scope, "expires_at": expires_at}
    session.out.item(session.api.post(at("api_keys"), body), "id name scopes key")


@command(app, "delete")
def delete(session: Session, key_id: Annotated[str, typer.Argument(metavar="ID", help="key_…")]) -> None:
    """Delete an API key: it is refused from now on."""
    session.api.delete(at("api_keys", key_id))
    session.out.talk(f"{key_id} is deleted.")
