"""`flowgraft instances config`: an instance's configuration."""

from typing import Annotated

import typer

from cli.client import Json, at
from cli.given import read_object, values
from cli.instances import InstanceId
from cli.session import Session, command

COLUMNS = "page key type required is_set value default errors"

app = typer.Typer(no_args_is_help=True, help="An instance's configuration.")


@command(app, "get")
def get(session: Session, instance_id: InstanceId) -> None:
    """Show the configuration. Secrets never come back, only whether they are set."""
    _print(session, session.api.get(at("instances", instance_id, "config")))


@command(app, "set")
def set_(
    session: Session,
    instance_id: InstanceId,
    assignments: Annotated[
        list[str] | None, typer.Argument(help="key=text, key:=json, key=@file, key=@- for standard input")
    ] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", help="Keys and values as JSON or YAML")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Every other key goes back to its default")] = False,
) -> None:
    """Change the keys given; key:=null goes back to the default. It takes effect at the next deploy."""
    wanted = (read_object(file) if file else {}) | values(assignments or [])
    if not wanted and not replace:
        raise typer.BadParameter("Nothing to set: give key=value or --file")
    change = session.api.put if replace else session.api.patch
    _print(session, change(at("instances", instance_id, "config"), {"values": wanted}))


def _print(session: Session, config: Json) -> None:
    if session.out.is_document:
        session.out.value(config)
        return
    fields = [{"page": page["name"], **field} for page in config["pages"] for field in page["fields"]]
    session.out.items(fields, COLUMNS)
    session.out.talk(config["config_state"])
