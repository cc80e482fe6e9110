"""`flowgraft doctor`: what a server says of itself and, where its settings are, what they say."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated

import httpx2
import typer

from cli.client import Api, at, masked
from cli.failures import CommandFailed, ExitCode
from cli.finding import Finding, State, failed, ok, skipped, warning
from cli.installation import examine
from cli.profiles import resolve
from cli.session import Session, command
from runtime.clock import utcnow

COLUMNS = "check state detail"
SKEW_SECONDS = 5.0  # more than a slow answer and the header's whole seconds explain
READY = {"ok": State.OK, "ready": State.OK, "degraded": State.WARNING}

root = typer.Typer()

Variable = Annotated[
    str | None,
    typer.Option(envvar=["FLOWGRAFT_DATABASE_URL", "FLOWGRAFT_DATABASE_URL_FILE"], hidden=True, help="Only looked for"),
]


@command(root, "doctor")
def doctor(session: Session, database: Variable = None) -> None:
    """Check the server and, where FLOWGRAFT_DATABASE_URL is set, the installation. Exit code 1 when a check fails."""
    findings = [*_server(session), *_installation(present=database is not None)]
    session.out.items([finding.row() for finding in findings], COLUMNS)
    if any(finding.state is State.FAILED for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


def _installation(*, present: bool) -> list[Finding]:
    return examine() if present else [skipped("settings", "FLOWGRAFT_DATABASE_URL is not set here")]


def _server(session: Session) -> list[Finding]:
    try:
        target = resolve(session.connection)
    except CommandFailed as failure:
        return [skipped("api", failure.message)]
    try:
        alive = session.api.send("GET", "/livez")
    except CommandFailed as failure:
        return [failed("api", failure.message)]
    if not alive.is_success:
        return [failed("api", f"{target.url}/livez answered {alive.status_code}: is this the right address?")]
    return [
        ok("api", f"{target.url} answers"),
        *_parts(session.api.send("GET", "/readyz")),
        *_key(session.api, target.api_key),
        compare_clocks(alive),
    ]


def _parts(answer: httpx2.Response) -> list[Finding]:
    try:
        parts = dict(answer.json())
    except ValueError:
        return [failed("readiness", f"/readyz answered {answer.status_code}")]
    return [
        Finding(f"server {name}" if name != "status" else "server", READY.get(state, State.FAILED), state)
        for name, state in parts.items()
    ]


def _key(api: Api, key: str) -> list[Finding]:
    """Only an admin may list keys; to everybody else the refusal says which scope the key has."""
    answer = api.send("GET", at("api_keys"), query={"limit": 1})
    if answer.is_success:
        return [ok("api key", f"{masked(key)} has the scope admin")]
    detail = str(answer.json().get("detail")) if "json" in answer.headers.get("content-type", "") else answer.text
    return [ok("api key", detail) if answer.status_code == 403 else failed("api key", detail)]


def compare_clocks(answer: httpx2.Response) -> Finding:
    """Of this machine against the server's, by an answer that has just come."""
    try:
        there = parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return skipped("clock", "The server does not say what time it is")
    return _skew(utcnow(), there)


def _skew(here: datetime, there: datetime) -> Finding:
    seconds = (here - there).total_seconds()
    if abs(seconds) <= SKEW_SECONDS:
        return ok("clock", "The same time here and at the server")
    return warning("clock", f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the server's")
