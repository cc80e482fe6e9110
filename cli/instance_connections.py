"""`flowgraft instances connections`: the connection fields of an instance."""

from functools import partial
from typing import Annotated

import typer

from cli.client import Json, at
from cli.connecting import Assignments, ConnectOptions, try_out
from cli.connecting import connect as connect_at
from cli.connecting import import_tokens as import_tokens_at
from cli.failures import CommandFailed
from cli.instances import InstanceId
from cli.session import Session, command

FIELDS = "key kind status connected_at expires_at error connection_id waiting_executions"

app = typer.Typer(no_args_is_help=True, help="The connections of an instance.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="Of the connection field")]


@command(app, "list")
def list_(session: Session, instance_id: InstanceId) -> None:
    """List an instance's connections and how they are."""
    session.out.items(session.api.get(at("instances", instance_id, "connections"))["data"], FIELDS)


@command(app, "connect")
def connect(session: Session, instance_id: InstanceId, key: Key, options: ConnectOptions) -> None:
    """Authorise an OAuth connection in the browser, for the first time or again."""
    read = partial(_field, session, instance_id, key)
    connect_at(session, at("instances", instance_id, "connections", key), options, read, FIELDS)


@command(app, "test")
def test(session: Session, instance_id: InstanceId, key: Key) -> None:
    """Try it out. Exit code 1 unless it works."""
    try_out(session, at("instances", instance_id, "connections", key))


@command(app, "disconnect")
def disconnect(session: Session, instance_id: InstanceId, key: Key) -> None:
    """Forget and revoke its tokens."""
    path = at("instances", instance_id, "connections", key)
    session.out.item(session.api.post(f"{path}/disconnect"), FIELDS)


@command(app, "import-tokens")
def import_tokens(session: Session, instance_id: InstanceId, key: Key, tokens: Assignments) -> None:
    """Take over tokens that were got elsewhere with the same client."""
    import_tokens_at(session, at("instances", instance_id, "connections", key), tokens, FIELDS)


def _field(session: Session, instance_id: str, key: str) -> Json:
    for found in session.api.get(at("instances", instance_id, "connections"))["data"]:
        if found["key"] == key:
            return dict(found)
    raise CommandFailed(f"The instance has no connection {key}")
