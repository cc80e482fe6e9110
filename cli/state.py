"""`flowgraft state`: what flows have kept, looked at and changed by hand."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.client import at
from cli.given import read_text
from cli.session import Paging, Session, Text, command

COLUMNS = "key value size updated_at"
FIELDS = "key scope owner_id value size updated_at"

app = typer.Typer(no_args_is_help=True, help="State of an execution, a flow, an instance or an integration.")

Key = Annotated[str, typer.Argument(help="As the flow's steps name it")]


@dataclass(frozen=True)
class Owner:
    """One of these."""

    execution: Annotated[str | None, typer.Option(metavar="ID")] = None
    flow: Annotated[str | None, typer.Option(metavar="ID", help="Of an instance flow")] = None
    instance: Annotated[str | None, typer.Option(metavar="ID")] = None
    integration: Annotated[str | None, typer.Option(metavar="ID", help="Shared by all its instances")] = None

    def path(self, *key: str) -> str:
        given = [(noun, owner_id) for noun, owner_id in vars(self).items() if owner_id is not None]
        if len(given) != 1:
            raise typer.BadParameter("Say whose: one of --execution, --flow, --instance and --integration")
        [(noun, owner_id)] = given
        return at(f"{noun}s", owner_id, "state", *key)


@command(app, "list")
def list_(session: Session, owner: Owner, paging: Paging) -> None:
    """List what is kept, by key."""
    session.listed(owner.path(), COLUMNS, paging)


@command(app, "get")
def get(session: Session, key: Key, owner: Owner) -> None:
    """A value, as JSON."""
    session.out.value(session.api.get(owner.path(key))["value"])


@command(app, "set")
def set_(
    session: Session,
    key: Key,
    owner: Owner,
    value: Annotated[str | None, typer.Argument(help="JSON, else it is a text; @file or @- for standard input")] = None,
    text: Text = None,
) -> None:
    """Set a value."""
    if (value is None) == (text is None):
        raise typer.BadParameter("Give a value, or a text by --text")
    session.out.item(session.api.put(owner.path(key), {"value": text if text is not None else _read(value)}), FIELDS)


@command(app, "delete")
def delete(session: Session, key: Key, owner: Owner) -> None:
    """Forget a value."""
    session.api.delete(owner.path(key))
    session.out.talk(f"{key} is forgotten.")


@command(app, "clear")
def clear(session: Session, owner: Owner) -> None:
    """Forget all values."""
    session.api.delete(owner.path())
    session.out.talk("All of it is forgotten.")


def _read(value: str | None) -> Any:
    text = value or ""
    if text.startswith("@"):
        text = read_text(text[1:])
    try:
        return json.loads(text)
    except ValueError:
        return text
