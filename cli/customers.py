"""`flowgraft customers`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from cli.client import at
from cli.session import Flag, Many, Paging, Session, Text, command
from cli.watching import finish_job

COLUMNS = "id name external_id labels state created_at"
FIELDS = "id name external_id description labels show_all_instances max_running state created_at"
QUEUE = "limit running waiting oldest_waiting_at"

app = typer.Typer(no_args_is_help=True, help="Your customers.")

CustomerId = Annotated[str, typer.Argument(metavar="ID", help="cust_…")]


@dataclass(frozen=True)
class Filters:
    q: Text = None
    external_id: Many = None
    label: Many = None


@dataclass(frozen=True)
class Fields:
    external_id: Annotated[str | None, typer.Option("--external-id", "-e", help="Its id with you")] = None
    description: Annotated[str | None, typer.Option("--description", "-d")] = None
    label: Annotated[list[str] | None, typer.Option("--label", "-l", help="Repeated: all of them")] = None
    show_all_instances: Flag = None
    max_running: Annotated[int | None, typer.Option(help="Executions at once; 0: no limit")] = None

    def given(self, **more: object) -> dict[str, object]:
        """What was said; the rest stays as it is."""
        said = {
            "external_id": self.external_id,
            "description": self.description,
            "labels": self.label or None,
            "show_all_instances": self.show_all_instances,
        }
        limit = {} if self.max_running is None else {"max_running": self.max_running or None}
        return {name: value for name, value in (said | more).items() if value is not None} | limit


@command(app, "list")
def list_(session: Session, filters: Filters, paging: Paging) -> None:
    """List customers, newest first."""
    session.listed(at("customers"), COLUMNS, paging, filters)


@command(app, "get")
def get(session: Session, customer_id: CustomerId) -> None:
    """Show a customer."""
    session.out.item(session.api.get(at("customers", customer_id)), FIELDS)


@command(app, "queue")
def queue(session: Session, customer_id: CustomerId) -> None:
    """Show how many of its executions run and wait."""
    session.out.item(session.api.get(at("customers", customer_id, "queue")), QUEUE)


@command(app, "create")
def create(session: Session, name: Annotated[str, typer.Option("--name", "-n")], more: Fields) -> None:
    """Create a customer."""
    session.out.item(session.api.post(at("customers"), more.given(name=name)), FIELDS)


@command(app, "update")
def update(
    session: Session,
    customer_id: CustomerId,
    more: Fields,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
) -> None:
    """Change what is given. Labels are replaced."""
    session.out.item(session.api.patch(at("customers", customer_id), more.given(name=name)), FIELDS)


@command(app, "delete")
def delete(
    session: Session,
    customer_id: CustomerId,
    confirm_name: Annotated[str, typer.Option(help="Its exact name")],
    wait: Annotated[bool, typer.Option("--wait", help="Until it is gone")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most")] = None,
) -> None:
    """Delete a customer with its instances, executions, logs and secrets."""
    deletion = session.api.delete(at("customers", customer_id), confirm_name=confirm_name).json()
    if wait:
        finish_job(session, deletion["job_id"], timeout)
    else:
        session.out.item(deletion, "id job_id state")
