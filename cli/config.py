"""`flowgraft instances config`: an instance's configuration, its drafts, and what its fields may be set to."""

import sys
from functools import partial
from typing import Annotated, Any, Literal

import typer

from cli.client import Json, at
from cli.given import place, read_object, values
from cli.instances import InstanceId
from cli.session import Session, command
from cli.typed import fields_of, typed

COLUMNS = "page key type required is_set value default errors"
DRAFT_COLUMNS = "page key is_set value"

app = typer.Typer(no_args_is_help=True, help="An instance's configuration.")
drafts = typer.Typer(no_args_is_help=True, help="What is begun on a page, and takes effect when it is applied.")
app.add_typer(drafts, name="drafts")

Page = Annotated[str, typer.Argument(metavar="PAGE", help="Its name, or counted from 0")]
View = Annotated[Literal["customer"] | None, typer.Option(help="As customers see it: without what is hidden")]
File = Annotated[str | None, typer.Option("--file", "-f", help="Keys and values as JSON or YAML; - for standard input")]
Ask = Annotated[list[str] | None, typer.Option(help="Ask for this one, such as shop.token, and show nothing; repeated")]
Assignments = Annotated[
    list[str] | None,
    typer.Argument(help="key=value, by the field's type; key:=json, key=@file, key=@- for standard input"),
]


@command(app, "get")
def get(session: Session, instance_id: InstanceId, view: View = None) -> None:
    """Show the configuration. Secrets never come back, only whether they are set."""
    _print(session, session.api.get(_config(instance_id), view=view))


@command(app, "set")
def set_(
    session: Session,
    instance_id: InstanceId,
    assignments: Assignments = None,
    file: File = None,
    ask: Ask = None,
    replace: Annotated[bool, typer.Option("--replace", help="Every other key goes back to its default")] = False,
) -> None:
    """Change the keys given. It takes effect at the next deploy."""
    wanted = _given(session, instance_id, assignments, file, ask)
    if not wanted and not replace:
        raise typer.BadParameter("Nothing to set: give key=value, --file or --ask")
    change = session.api.put if replace else session.api.patch
    _print(session, change(_config(instance_id), {"values": wanted}))


@command(app, "unset")
def unset(
    session: Session,
    instance_id: InstanceId,
    keys: Annotated[list[str], typer.Argument(metavar="KEY…", help="These go back to their defaults")],
) -> None:
    """Forget values: what they are then is the definition's default."""
    _print(session, session.api.patch(_config(instance_id), {"values": dict.fromkeys(keys)}))


@command(app, "options")
def options(
    session: Session, instance_id: InstanceId, key: Annotated[str, typer.Argument(metavar="KEY", help="A field's")]
) -> None:
    """List what a field may be set to, asked of its source now where it has one."""
    listing = session.api.get(at("instances", instance_id, "config", "fields", key, "options"))
    session.out.items(listing["data"], "value label")


@command(drafts, "list")
def list_drafts(session: Session, instance_id: InstanceId, view: View = None) -> None:
    """Show all drafts. Secrets never come back, only whether they are set."""
    _print_drafts(session, session.api.get(at("instances", instance_id, "config", "drafts"), view=view)["data"])


@command(drafts, "set")
def set_draft(
    session: Session,
    instance_id: InstanceId,
    page: Page,
    assignments: Assignments = None,
    file: File = None,
    ask: Ask = None,
) -> None:
    """Keep values of a page as its draft, in place of an earlier one; key:=null goes back to the default."""
    wanted = _given(session, instance_id, assignments, file, ask)
    draft = session.api.put(at("instances", instance_id, "config", "drafts", page), {"values": wanted})
    _print_drafts(session, [draft])


@command(drafts, "discard")
def discard_draft(session: Session, instance_id: InstanceId, page: Page) -> None:
    """Forget the draft of a page."""
    session.api.delete(at("instances", instance_id, "config", "drafts", page))
    session.out.talk("The draft is discarded.")


@command(drafts, "apply")
def apply_drafts(session: Session, instance_id: InstanceId) -> None:
    """Make one change of the configuration of all drafts. It takes effect at the next deploy."""
    _print(session, session.api.post(at("instances", instance_id, "config", "drafts", "apply")))


def _config(instance_id: str) -> str:
    return at("instances", instance_id, "config")


def _given(
    session: Session, instance_id: str, assignments: list[str] | None, file: str | None, ask: list[str] | None
) -> Json:
    found = read_object(file) if file else {}
    if assignments or ask:
        read = partial(typed, fields_of(session.api.get(_config(instance_id))))
        found |= values(assignments or [], read)
        for path in ask or []:
            place(found, path, read(path, _asked_for(path)))
    return found


def _asked_for(path: str) -> str:
    """At a terminal without an echo, else a line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt(path, hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\n")


def _print(session: Session, config: Json) -> None:
    if session.out.is_document:
        session.out.value(config)
        return
    fields = [{"page": page["name"], **field} for page in config["pages"] for field in page["fields"]]
    session.out.items(fields, COLUMNS)
    session.out.talk(config["config_state"])


def _print_drafts(session: Session, found: list[Any]) -> None:
    if session.out.is_document:
        session.out.items(found, "")
        return
    session.out.items([{"page": each["name"], **field} for each in found for field in each["fields"]], DRAFT_COLUMNS)
