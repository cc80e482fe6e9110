"""What both kinds of connections share on the command line: authorising in a browser, trying out, tokens."""

import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from cli.client import Json
from cli.failures import CommandFailed, ExitCode
from cli.given import values
from cli.session import Session
from cli.watching import looks

TOKENS_HELP = "access_token=…, refresh_token=@file, expires_in:=3600; @- for standard input"

Assignments = Annotated[list[str], typer.Argument(help=TOKENS_HELP, show_default=False)]


@dataclass(frozen=True)
class ConnectOptions:
    browser: Annotated[bool, typer.Option(help="Open it here, or only print the address")] = True
    wait: Annotated[bool, typer.Option(help="Until it is connected")] = True
    redirect_to: Annotated[str | None, typer.Option(help="Where the browser goes at the end")] = None
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most")] = 600.0


def connect(session: Session, path: str, options: ConnectOptions, read: Callable[[], Json], columns: str) -> None:
    """Prints the connection once it is connected. Fails with what the provider said."""
    body = {"redirect_to": options.redirect_to} if options.redirect_to else {}
    begun = session.api.post(f"{path}/authorize", body)
    before = read()["connected_at"]
    if options.browser and options.wait:
        session.out.talk(f"Opening {begun['authorize_url']}")
        webbrowser.open(begun["authorize_url"])
    elif options.wait:
        typer.echo(f"Open this in a browser: {begun['authorize_url']}", err=True)
    if not options.wait:
        session.out.item(begun, "authorize_url expires_at")
        return
    for found in looks(read, options.timeout):
        if found["error"] is not None:
            raise CommandFailed(f"It was not connected: {found['error']}")
        if found["connected_at"] not in (None, before):
            session.out.item(found, columns)
            return
    raise CommandFailed(f"Nobody has authorised it within {options.timeout:g} s")


def try_out(session: Session, path: str) -> None:
    """The exit code says whether it works."""
    result = session.api.post(f"{path}/test")
    session.out.item(result, "ok status error")
    if not result["ok"]:
        raise typer.Exit(ExitCode.FAILED)


def import_tokens(session: Session, path: str, given: Sequence[str], columns: str) -> None:
    session.out.item(session.api.put(f"{path}/tokens", values(given)), columns)
