"""`flowgraft replays`: replays of many executions under way. `flowgraft executions replay` begins one."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import uuid4

import typer

from cli.client import Json, at
from cli.failures import ExitCode
from cli.session import Many, Paging, Session, command
from cli.watching import finish_job

COLUMNS = (
    "id state stage matched done started running succeeded failed skipped version from rate_per_second "
    "stop_at_failure_percent error.message created_at updated_at"
)
LIST_COLUMNS = "id state stage matched done succeeded failed skipped created_at"
ITEM_COLUMNS = "position execution_id customer_id status reason replayed_as error.code updated_at"
SAMPLE_COLUMNS = "id status trigger customer.name instance.name flow.name attempt queued_at error.code"

app = typer.Typer(no_args_is_help=True, help="Replays of many executions.")

ReplayId = Annotated[str, typer.Argument(metavar="ID", help="rply_…")]
Timeout = Annotated[float | None, typer.Option(help="Seconds to wait at most")]


@dataclass(frozen=True)
class Pace:
    """Of a replay of many."""

    rate_per_second: Annotated[float | None, typer.Option(help="Of many: at most so many a second")] = None
    stop_at_failure_percent: Annotated[
        float | None, typer.Option(help="Of many: when more of the replays fail, no other one begins")
    ] = None
    min_ended: Annotated[int | None, typer.Option(help="Of many: with fewer nothing is stopped")] = None


@command(app, "list")
def list_(session: Session, paging: Paging, state: Many = None) -> None:
    """List replays of many executions, newest first."""
    session.listed(at("replays"), LIST_COLUMNS, paging, state=state)


@command(app, "get")
def get(session: Session, replay_id: ReplayId) -> None:
    """Show how far it has come."""
    session.out.item(session.api.get(at("replays", replay_id)), COLUMNS)


@command(app, "items")
def items(session: Session, replay_id: ReplayId, paging: Paging, status: Many = None) -> None:
    """List what has become of each execution, in the order of their turns."""
    session.listed(at("replays", replay_id, "items"), ITEM_COLUMNS, paging, status=status)


@command(app, "pause")
def pause(session: Session, replay_id: ReplayId) -> None:
    """Begin no other one. What runs goes on."""
    session.out.item(session.api.post(at("replays", replay_id, "pause")), COLUMNS)


@command(app, "resume")
def resume(session: Session, replay_id: ReplayId) -> None:
    """Go on after a pause."""
    session.out.item(session.api.post(at("replays", replay_id, "resume")), COLUMNS)


@command(app, "abort")
def abort(session: Session, replay_id: ReplayId) -> None:
    """End it here. What runs goes on, the rest is left as it is."""
    session.out.item(session.api.post(at("replays", replay_id, "abort")), COLUMNS)


@command(app, "watch")
def watch(session: Session, replay_id: ReplayId, timeout: Timeout = None) -> None:
    """Wait until it has ended, then show it. Exit code 1 unless every replay succeeded or was rightly skipped."""
    finish(session, replay_id, timeout)


def finish(session: Session, replay_id: str, timeout: float | None) -> None:
    replay = finish_job(session, replay_id, timeout, path=at("replays", replay_id), columns=COLUMNS)
    if replay["failed"]:
        raise typer.Exit(ExitCode.FAILED)


def begin(session: Session, filters: Json, how: Json, pace: Pace, *, dry_run: bool) -> Json | None:
    """The replay; None of a dry run, which is printed."""
    said: dict[str, Any] = {name: value for name, value in asdict(pace).items() if value is not None}
    body = how | said | {"filter": filters, "dry_run": dry_run}
    headers = {"Idempotency-Key": str(uuid4())}
    answer: Json = session.api.call("POST", at("replays"), json=body, headers=headers).json()
    if not dry_run:
        return answer
    if session.out.is_document:
        session.out.value(answer)
    else:
        session.out.items(answer["sample"], SAMPLE_COLUMNS)
    session.out.talk(f"{answer['matched']} would be replayed.")
    return None
