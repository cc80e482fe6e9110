"""`flowgraft executions`: what happened, again, and while it happens."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli import replays
from cli.client import Json, at
from cli.logs import COLUMNS as LOG_COLUMNS
from cli.logs import LineFilters
from cli.output import TimeFormat
from cli.session import Flag, Many, Paging, Session, Text, command
from cli.watching import EXECUTION_COLUMNS, LogTail, finish_execution, follow_execution

COLUMNS = (
    "id status trigger customer.name instance.name flow.name attempt max_attempts next_attempt_at queued_at reason "
    "error.code"
)
EDITED_COLUMNS = "id status attempt max_attempts next_attempt_at version.number deployment_id"
STEP_COLUMNS = "path name component action attempt status started_at ended_at error.message"
PREVIEW_COLUMNS = "path name action runs outside conditional succeeded"

app = typer.Typer(no_args_is_help=True, help="Executions of flows.")

ExecutionId = Annotated[str, typer.Argument(metavar="ID", help="exec_…")]
Timeout = Annotated[float | None, typer.Option(help="Seconds to wait at most")]


@dataclass(frozen=True)
class Filters:
    customer_id: Many = None
    instance_id: Many = None
    integration_id: Many = None
    version_id: Many = None
    flow_id: Many = None
    status: Many = None
    trigger: Many = None
    tag: Annotated[list[str] | None, typer.Option(help="key:value; repeated: any of them")] = None
    started_after: Text = None
    started_before: Text = None
    min_duration_seconds: Annotated[float | None, typer.Option()] = None
    is_test: Flag = None
    replay_of: Many = None
    waiting_connection_id: Many = None
    originals_only: Annotated[bool | None, typer.Option("--originals-only", help="No replays")] = None
    unresolved: Annotated[bool | None, typer.Option("--unresolved", help="Failed, and no replay succeeded")] = None
    parked: Annotated[bool | None, typer.Option("--parked", help="Failed, and others wait behind them")] = None
    hide_no_changes: Annotated[
        bool | None, typer.Option("--hide-no-changes", help="Without polls that found nothing new")
    ] = None
    q: Text = None


@command(app, "list")
def list_(session: Session, filters: Filters, paging: Paging) -> None:
    """List executions of all customers, newest first."""
    session.listed(at("executions"), COLUMNS, paging, filters)


@command(app, "get")
def get(session: Session, execution_id: ExecutionId) -> None:
    """Show an execution."""
    session.out.item(session.api.get(at("executions", execution_id)), EXECUTION_COLUMNS)


@command(app, "steps")
def steps(session: Session, execution_id: ExecutionId) -> None:
    """Show an execution's steps, in start order over all attempts."""
    session.out.items(session.api.get(at("executions", execution_id))["steps"], STEP_COLUMNS)


@command(app, "step-output")
def step_output(
    session: Session,
    execution_id: ExecutionId,
    path: Annotated[str, typer.Argument(help="As `executions steps` shows it: lines[2].ship")],
    attempt: Annotated[int | None, typer.Option(help="Default: the last")] = None,
) -> None:
    """A step's whole output, as JSON."""
    address = at("executions", execution_id, "steps", path, "output")
    session.out.value(session.api.call("GET", address, query={"attempt": attempt}).json())


@command(app, "payload")
def payload(
    session: Session,
    execution_id: ExecutionId,
    raw: Annotated[bool, typer.Option("--raw", help="The very bytes that were received")] = False,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="To write the bytes to")] = None,
) -> None:
    """What invoked the execution."""
    if raw or file:
        session.out.raw(session.api.call("GET", at("executions", execution_id, "payload", "raw")).content, file)
    else:
        session.out.value(session.api.get(at("executions", execution_id, "payload")))


@command(app, "logs")
def logs(
    session: Session,
    execution_id: ExecutionId,
    filters: LineFilters,
    paging: Paging,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it has ended")] = False,
    timeout: Timeout = None,
) -> None:
    """Show an execution's log lines, newest first; oldest first when following."""
    path = at("executions", execution_id, "logs")
    if not follow:
        session.listed(path, LOG_COLUMNS, paging, filters, TimeFormat.ISO)
        return
    lines = LogTail(session, path, LOG_COLUMNS, asdict(filters), paging.limit)
    follow_execution(session, execution_id, timeout, lines.look)
    lines.look()


@command(app, "replay")
def replay(
    session: Session,
    filters: Filters,
    pace: replays.Pace,
    execution_id: Annotated[str | None, typer.Argument(metavar="ID", help="exec_…; without it, all by filters")] = None,
    version: Annotated[Literal["current", "original"] | None, typer.Option(help="Of the integration")] = None,
    from_failed: Annotated[bool, typer.Option("--from-failed", help="What succeeded is not done again")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Of one: only say what would run again")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Of many: only count them, and show some")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 4 if it failed")] = False,
    timeout: Timeout = None,
) -> None:
    """Run it again as a new execution with the same payload; or many, chosen by the filters of `list`."""
    how: dict[str, Any] = {"version": version} if version else {}
    if from_failed:
        how["from"] = "failed_step"
    wanted = {name: value for name, value in asdict(filters).items() if value not in (None, [])}
    if (execution_id is None) == (not wanted):
        raise typer.BadParameter("Say either which execution, or filters such as --unresolved")
    if execution_id is None:
        _replay_many(session, replays.begin(session, wanted, how, pace, dry_run=dry_run), wait, timeout)
    elif preview or dry_run:
        _print_preview(session, session.api.get(at("executions", execution_id, "replay_preview"), **how))
    else:
        started = session.api.post(at("executions", execution_id, "replay"), how)
        if wait:
            finish_execution(session, started["execution_id"], timeout)
        else:
            session.out.item(started, "execution_id url")


def _replay_many(session: Session, begun: Json | None, wait: bool, timeout: float | None) -> None:
    if begun is not None and wait:
        replays.finish(session, begun["id"], timeout)
    elif begun is not None:
        session.out.item(begun, replays.COLUMNS)


def _print_preview(session: Session, preview: Json) -> None:
    if session.out.is_document:
        session.out.value(preview)
    else:
        session.out.items(preview["steps"], PREVIEW_COLUMNS)
    outside = sum(step["outside"] and step["runs"] != "kept" for step in preview["steps"])
    session.out.talk(f"On version {preview['version']['number']}; {outside} of its steps reach the outside world.")


@command(app, "cancel")
def cancel(session: Session, execution_id: ExecutionId) -> None:
    """Cancel an execution; a pending retry ends at once."""
    session.out.item(session.api.post(at("executions", execution_id, "cancel")), "execution_id status")


@command(app, "edit")
def edit(
    session: Session,
    execution_id: ExecutionId,
    next_attempt_at: Annotated[str | None, typer.Option(help="2026-03-01T12:00:00Z; what is over means now")] = None,
    retries_left: Annotated[int | None, typer.Option(help="After the next attempt; 0: it is the last")] = None,
    deployment: Annotated[str | None, typer.Option(metavar="ID", help="dep_…, or current: what is deployed")] = None,
) -> None:
    """Change an execution that waits."""
    given = {"next_attempt_at": next_attempt_at, "retries_left": retries_left, "deployment_id": deployment}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("Say what to change")
    session.out.item(session.api.patch(at("executions", execution_id), changes), EDITED_COLUMNS)


@command(app, "retry-now")
def retry_now(session: Session, execution_id: ExecutionId) -> None:
    """Make the pending next attempt now."""
    session.out.item(session.api.post(at("executions", execution_id, "retry_now")), EDITED_COLUMNS)


@command(app, "unpark")
def unpark(session: Session, execution_id: ExecutionId) -> None:
    """Let its queue go on without one that has failed for good."""
    session.out.item(session.api.post(at("executions", execution_id, "unpark")), "id status parked_until")


@command(app, "watch")
def watch(session: Session, execution_id: ExecutionId, timeout: Timeout = None) -> None:
    """Wait until it has ended, then show it. Exit code 4 unless it succeeded."""
    finish_execution(session, execution_id, timeout)
