"""`flowgraft logs`: the lines of all executions."""

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from cli.client import at
from cli.output import TimeFormat
from cli.session import Many, Paging, Session, Text, command
from cli.watching import LogTail

COLUMNS = "timestamp severity step message"
SEARCH_COLUMNS = "timestamp severity execution_id step message"

app = typer.Typer(no_args_is_help=True, help="What executions and connections have to say.")


@dataclass(frozen=True)
class LineFilters:
    severity: Many = None
    min_severity: Text = None
    after: Text = None
    before: Text = None
    type: Many = None


@dataclass(frozen=True)
class Filters(LineFilters):
    customer_id: Many = None
    instance_id: Many = None
    flow_id: Many = None
    execution_id: Many = None


@command(app, "search")
def search(
    session: Session,
    filters: Filters,
    paging: Paging,
    text: Annotated[str | None, typer.Argument(help="Any part of the message")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to follow at most")] = None,
) -> None:
    """Search log lines, newest first; oldest first when following."""
    if follow:
        query = asdict(filters) | {"q": text}
        LogTail(session, at("logs"), SEARCH_COLUMNS, query, paging.limit).follow(timeout)
    else:
        session.listed(at("logs"), SEARCH_COLUMNS, paging, filters, TimeFormat.ISO, q=text)
