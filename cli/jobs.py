"""`flowgraft jobs`: deletions and other long work."""

from typing import Annotated

import typer

from cli.client import at
from cli.session import Session, command
from cli.watching import JOB_COLUMNS, finish_job

app = typer.Typer(no_args_is_help=True, help="Long work: deploys and deletions.")

JobId = Annotated[str, typer.Argument(metavar="ID", help="job_…")]


@command(app, "get")
def get(session: Session, job_id: JobId) -> None:
    """Show a job."""
    session.out.item(session.api.get(at("jobs", job_id)), JOB_COLUMNS)


@command(app, "watch")
def watch(
    session: Session,
    job_id: JobId,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most")] = None,
) -> None:
    """Wait until it has ended, then show it. Exit code 1 unless it succeeded."""
    finish_job(session, job_id, timeout)
