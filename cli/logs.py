"""`flowgraft logs`: the lines of all executions, and of what else happens."""

from collections import deque
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import typer

from cli.client import PAGE, at
from cli.output import TimeFormat
from cli.session import Flag, Many, Paging, Session, Text, command
from cli.streaming import followed
from cli.watching import REMEMBERED, LogTail

COLUMNS = "timestamp severity step message"
SEARCH_COLUMNS = "timestamp severity execution_id step message"

app = typer.Typer(no_args_is_help=True, help="What executions and connections have to say.")

Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C")]
Timeout = Annotated[float | None, typer.Option(help="Seconds to follow at most")]


@dataclass(frozen=True)
class LineFilters:
    severity: Many = None
    min_severity: Text = None
    after: Text = None
    before: Text = None
    type: Many = None
    step: Annotated[list[str] | None, typer.Option(help="The step's path, such as lines[2].ship; repeated")] = None


@dataclass(frozen=True)
class Owners:
    customer_id: Many = None
    instance_id: Many = None
    flow_id: Many = None
    execution_id: Many = None
    is_test: Flag = None


@dataclass(frozen=True)
class Filters(LineFilters, Owners):
    pass


@dataclass(frozen=True)
class StreamFilters(Owners):
    q: Annotated[str | None, typer.Option(help="Any part of the message")] = None
    severity: Many = None
    min_severity: Text = None
    type: Many = None
    step: Many = None


@command(app, "list")
def list_(
    session: Session,
    filters: Filters,
    paging: Paging,
    q: Annotated[str | None, typer.Option(help="Any part of the message")] = None,
    order: Annotated[Literal["desc", "asc"] | None, typer.Option(help="Default: newest first")] = None,
    surrounding: Annotated[
        str | None, typer.Option(metavar="ID", help="Lines around this one, of its execution or instance")
    ] = None,
) -> None:
    """List log lines, newest first."""
    more = {"q": q, "order": order, "surrounding": surrounding}
    session.listed(at("logs"), SEARCH_COLUMNS, paging, filters, TimeFormat.ISO, **more)


@command(app, "search")
def search(
    session: Session,
    filters: Filters,
    paging: Paging,
    text: Annotated[str | None, typer.Argument(help="Any part of the message")] = None,
    follow: Follow = False,
    timeout: Timeout = None,
) -> None:
    """Search log lines, newest first; oldest first when following."""
    if follow:
        query = asdict(filters) | {"q": text}
        LogTail(session, at("logs"), SEARCH_COLUMNS, query, paging.limit).follow(timeout)
    else:
        session.listed(at("logs"), SEARCH_COLUMNS, paging, filters, TimeFormat.ISO, q=text)


@command(app, "follow")
def follow(
    session: Session,
    filters: StreamFilters,
    lines: Annotated[int, typer.Option(min=0, max=PAGE, help="How many of those that are there already")] = 10,
    timeout: Timeout = None,
) -> None:
    """Show log lines as they come, until Ctrl-C, by a stream of the server's."""
    query = asdict(filters)
    there = session.api.get(at("logs"), **query, limit=max(lines, 1))["data"]
    show = session.out.stream(SEARCH_COLUMNS)
    for line in reversed(there[:lines]):
        show(line)
    shown = deque((line["id"] for line in there), maxlen=REMEMBERED)
    last_id = there[0]["id"] if there else None
    for event in followed(session.api, at("logs", "stream"), query, last_id, timeout):
        if event.name == "log" and event.data["id"] not in shown:
            show(event.data)
            shown.append(event.data["id"])
