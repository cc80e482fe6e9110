"""`flowgraft keys`: encryption keys in use, and rotating them."""

from typing import Annotated

import typer

from cli.client import at
from cli.session import Session, command
from cli.watching import JOB_COLUMNS, finish_job

COLUMNS = "id primary on_ring data_keys values histories removable"

app = typer.Typer(no_args_is_help=True, help="Encryption keys, by their ids. They need the scope admin.")


@command(app, "list")
def list_(session: Session) -> None:
    """List the keys of the server's ring and how much is under each; one that is removable may leave the ring."""
    session.out.items(session.api.get(at("keys"))["data"], COLUMNS)


@command(app, "rotate")
def rotate(
    session: Session,
    data_keys: Annotated[bool, typer.Option("--data-keys", help="New data keys too")] = False,
    customer: Annotated[str | None, typer.Option(help="cust_…, with --data-keys: this customer's alone")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much there is to do")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is done")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most")] = None,
) -> None:
    """Bring everything under the first key of the ring."""
    body = {"data_keys": data_keys, "customer_id": customer, "dry_run": dry_run}
    answer = session.api.post(at("keys", "rotate"), body)
    if dry_run:
        session.out.item(answer, "total " + " ".join(f"stages.{name}" for name in answer["stages"]))
    elif wait:
        finish_job(session, answer["id"], timeout)
    else:
        session.out.item(answer, JOB_COLUMNS)
