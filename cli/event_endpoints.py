"""`flowgraft event-endpoints`: who hears of what happens."""

from typing import Annotated

import typer

from cli.client import Json, at
from cli.given import seconds
from cli.session import Many, Paging, Session, command
from cli.telling import Headers
from cli.telling import headers as headers_of

COLUMNS = "id name url events enabled disabled_reason failing_since"
FIELDS = f"{COLUMNS} description header_names secret created_at updated_at"
SENT_COLUMNS = "id created_at event state status_code error next_attempt_at"

app = typer.Typer(no_args_is_help=True, help="Event endpoints: who hears of what happens, signed.")

EndpointId = Annotated[str, typer.Argument(metavar="ID", help="hook_…")]
Events = Annotated[
    list[str] | None, typer.Option("--event", "-e", help="instance.*, execution.failed, * …; repeated; default: all")
]


@command(app, "list")
def list_(session: Session, paging: Paging) -> None:
    """List event endpoints, newest first."""
    session.listed(at("event_endpoints"), COLUMNS, paging)


@command(app, "get")
def get(session: Session, endpoint_id: EndpointId) -> None:
    """Show an event endpoint."""
    session.out.item(session.api.get(at("event_endpoints", endpoint_id)), FIELDS)


@command(app, "create")
def create(
    session: Session,
    address: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent")],
    name: Annotated[str, typer.Option("--name", "-n")],
    event: Events = None,
    header: Headers = None,
    description: Annotated[str | None, typer.Option("--description", "-d")] = None,
) -> None:
    """Create an endpoint. Its secret is shown once."""
    body: Json = {"name": name, "url": address, "description": description} | headers_of(header)
    body |= {"events": event} if event else {}
    session.out.item(session.api.post(at("event_endpoints"), body), FIELDS)


@command(app, "update")
def update(
    session: Session,
    endpoint_id: EndpointId,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
    address: Annotated[str | None, typer.Option(help="Another URL")] = None,
    event: Events = None,
    header: Headers = None,
    description: Annotated[str | None, typer.Option("--description", "-d")] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable")] = None,
) -> None:
    """Change what is given; it keeps its secret."""
    given = {"name": name, "url": address, "events": event, "description": description, "enabled": enabled}
    body = {key: value for key, value in given.items() if value is not None} | headers_of(header)
    session.out.item(session.api.patch(at("event_endpoints", endpoint_id), body), FIELDS)


@command(app, "delete")
def delete(session: Session, endpoint_id: EndpointId) -> None:
    """Delete an event endpoint."""
    session.api.delete(at("event_endpoints", endpoint_id))
    session.out.talk(f"{endpoint_id} is deleted.")


@command(app, "rotate-secret")
def rotate_secret(
    session: Session,
    endpoint_id: EndpointId,
    overlap: Annotated[str, typer.Option(help="How long the secret until now signs too, such as 30m")] = "24h",
) -> None:
    """A new secret, shown once."""
    path = f"{at('event_endpoints', endpoint_id)}/rotate_secret"
    session.out.item(session.api.post(path, {"overlap_seconds": seconds(overlap)}), FIELDS)


@command(app, "test")
def test(session: Session, endpoint_id: EndpointId) -> None:
    """Send a test event. `flowgraft event-endpoints deliveries` tells whether it has arrived."""
    session.out.item(session.api.post(f"{at('event_endpoints', endpoint_id)}/test"), SENT_COLUMNS)


@command(app, "deliveries")
def deliveries(session: Session, endpoint_id: EndpointId, paging: Paging, state: Many = None) -> None:
    """List what was sent to it, newest first. JSON has every attempt."""
    session.listed(f"{at('event_endpoints', endpoint_id)}/deliveries", SENT_COLUMNS, paging, state=state)


@command(app, "resend")
def resend(session: Session, delivery_id: Annotated[str, typer.Argument(metavar="ID", help="dlv_…")]) -> None:
    """Send a message again, under the same webhook-id."""
    session.out.item(session.api.post(f"{at('event_deliveries', delivery_id)}/resend"), SENT_COLUMNS)
