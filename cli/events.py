"""`flowgraft events`: what becomes of executions and instances, as it happens."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.client import at
from cli.session import Many, Session, command
from cli.streaming import ServerEvent, followed

COLUMNS = "at event id instance_id attempt error.message"
STEP_COLUMNS = "at event path status attempt tries error.message"

app = typer.Typer(no_args_is_help=True, help="What happens, as it happens.")

Timeout = Annotated[float | None, typer.Option(help="Seconds to follow at most")]


@dataclass(frozen=True)
class Filters:
    instance_id: Many = None
    customer_id: Many = None
    kind: Annotated[
        list[str] | None, typer.Option(help="execution, instance, execution.failed and the like; repeated")
    ] = None


@command(app, "follow")
def follow(session: Session, filters: Filters, timeout: Timeout = None) -> None:
    """Show changes of executions and instances as they come, until Ctrl-C."""
    show = session.out.stream(COLUMNS)
    for event in followed(session.api, at("events"), vars(filters), None, timeout):
        if event.name == "reset":
            session.out.talk("Some of what has happened meanwhile is not shown: see executions list.")
        else:
            show(_shown(event, event.data.get("updated_at") or event.data.get("at")))


@command(app, "execution")
def execution(
    session: Session, execution_id: Annotated[str, typer.Argument(metavar="ID", help="exec_…")], timeout: Timeout = None
) -> None:
    """Show an execution's steps and states as they come, until it has ended."""
    show = session.out.stream(STEP_COLUMNS)
    for event in followed(session.api, at("executions", execution_id, "events"), {}, None, timeout):
        if event.name != "end":
            moved = event.data.get("ended_at") or event.data.get("updated_at") or event.data["started_at"]
            show(_shown(event, moved))


def _shown(event: ServerEvent, moved: Any) -> dict[str, Any]:
    return {"event": event.name, **event.data, "at": moved}
