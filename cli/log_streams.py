"""`flowgraft log-streams`: log lines sent on to other systems."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from cli.client import at
from cli.failures import CommandFailed
from cli.given import pairs, read_text
from cli.session import Flag, Many, Paging, Session, Text, command

COLUMNS = "id name state url lag_seconds delivered last_error.message"
FIELDS = (
    "id name state url header_names template severities types batch_size batch_format customer_id instance_id enabled "
    "sent_up_to lag_seconds delivered delivered_at refused failures failing_since last_error.at last_error.code "
    "last_error.message created_at updated_at"
)

app = typer.Typer(no_args_is_help=True, help="Log streams: log lines sent on to other systems.")

StreamId = Annotated[str, typer.Argument(metavar="ID", help="lstr_…")]


@dataclass(frozen=True)
class Filters:
    enabled: Flag = None
    failing: Flag = None
    customer_id: Many = None
    instance_id: Many = None


@dataclass(frozen=True)
class Settings:
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="name:value; repeated, write-only")] = None
    template: Annotated[str | None, typer.Option(help="Of one line; @FILE reads it from a file")] = None
    severity: Many = None
    type: Many = None
    batch_size: Annotated[int | None, typer.Option(help="Lines in one request at most")] = None
    batch_format: Annotated[Literal["array", "lines", "single"] | None, typer.Option()] = None

    def body(self) -> dict[str, Any]:
        """What is given."""
        template = self.template
        if template is not None and template.startswith("@"):
            template = read_text(template[1:])
        given: dict[str, Any] = {
            "headers": None if self.header is None else pairs(self.header),
            "template": template,
            "severities": self.severity,
            "types": self.type,
            "batch_size": self.batch_size,
            "batch_format": self.batch_format,
        }
        return {name: value for name, value in given.items() if value is not None}


@command(app, "list")
def list_(session: Session, filters: Filters, paging: Paging) -> None:
    """List log streams, newest first."""
    session.listed(at("log_streams"), COLUMNS, paging, filters)


@command(app, "get")
def get(session: Session, stream_id: StreamId) -> None:
    """Show a log stream: how far it is, and what its target said last."""
    session.out.item(session.api.get(at("log_streams", stream_id)), FIELDS)


@command(app, "create")
def create(
    session: Session,
    settings: Settings,
    name: Annotated[str, typer.Option("--name", "-n")],
    address: Annotated[str, typer.Argument(metavar="URL", help="Where lines are POSTed to")],
    customer_id: Text = None,
    instance_id: Text = None,
) -> None:
    """Send log lines on to another system, from now on."""
    owner = {"customer_id": customer_id, "instance_id": instance_id}
    body = {"name": name, "url": address} | settings.body() | {key: value for key, value in owner.items() if value}
    session.out.item(session.api.post(at("log_streams"), body), FIELDS)


@command(app, "update")
def update(
    session: Session,
    stream_id: StreamId,
    settings: Settings,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
    address: Annotated[str | None, typer.Option(help="Another URL")] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Goes on where it was")] = None,
    skip_to_now: Annotated[bool, typer.Option("--skip-to-now", help="What is not sent yet never will be")] = False,
) -> None:
    """Change what is given. What has failed is tried again at once."""
    given = {"name": name, "url": address, "enabled": enabled, "skip_to_now": skip_to_now or None}
    body = settings.body() | {key: value for key, value in given.items() if value is not None}
    session.out.item(session.api.patch(at("log_streams", stream_id), body), FIELDS)


@command(app, "delete")
def delete(session: Session, stream_id: StreamId) -> None:
    """Send no more."""
    session.api.delete(at("log_streams", stream_id))
    session.out.talk(f"{stream_id} is deleted.")


@command(app, "test")
def test(session: Session, stream_id: StreamId) -> None:
    """Send a sample line at once. Fails unless the target takes it."""
    trial = session.api.post(at("log_streams", stream_id, "test"))
    session.out.item(trial, "ok status error.code error.message")
    if not trial["ok"]:
        raise CommandFailed("The target has not taken it.")
