"""`flowgraft usage` and `flowgraft conservation`: what customers have used, and whether nothing got lost."""

from typing import Annotated, Any

import typer

from cli.client import at
from cli.session import Many, Paging, Session, command

USAGE_COLUMNS = (
    "day customer.name enabled_instances executions.succeeded executions.failed executions.canceled"
    " executions.skipped test_executions steps"
)
BOOKS_COLUMNS = "hour customer.name accepted ended in_flight held imbalance"

root = typer.Typer()

From = Annotated[str | None, typer.Option("--from", help="The first one")]
To = Annotated[str | None, typer.Option("--to", help="The last one")]


@command(root, "usage")
def usage(session: Session, paging: Paging, from_: From = None, to: To = None, customer_id: Many = None) -> None:
    """What was used, per day and customer, newest day first. Days are such as 2026-03-01; by default the last 30."""
    query: dict[str, Any] = {"from": from_, "to": to, "customer_id": customer_id}
    session.listed(at("usage"), USAGE_COLUMNS, paging, **query)


@command(root, "conservation")
def conservation(
    session: Session,
    paging: Paging,
    from_: From = None,
    to: To = None,
    customer_id: Many = None,
    unbalanced: Annotated[bool, typer.Option("--unbalanced", help="Only where something is missing")] = False,
) -> None:
    """What was accepted, per hour and customer, and where it is. By default the last 24 hours, at most 7 days."""
    query: dict[str, Any] = {"from": from_, "to": to, "customer_id": customer_id, "unbalanced": unbalanced or None}
    session.listed(at("conservation"), BOOKS_COLUMNS, paging, **query)
