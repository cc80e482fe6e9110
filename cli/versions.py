"""`flowgraft versions`: what was published."""

from pathlib import Path
from typing import Annotated

import typer

from cli.client import at
from cli.diffing import ROW_COLUMNS, lines, rows
from cli.output import Format
from cli.session import Session, command

COLUMNS = "id number comment available instance_count attributes published_by created_at"

app = typer.Typer(no_args_is_help=True, help="Published versions of integrations.")

VersionId = Annotated[str, typer.Argument(metavar="ID", help="ver_…")]


@command(app, "get")
def get(session: Session, version_id: VersionId) -> None:
    """Show a version."""
    session.out.item(session.api.get(at("versions", version_id)), COLUMNS)


@command(app, "set-available")
def set_available(
    session: Session,
    version_id: VersionId,
    available: Annotated[bool, typer.Option("--available/--no-available", "-a", help="For instances to choose")] = True,
) -> None:
    """Say whether instances may choose this version. Those that have it keep it."""
    session.out.item(session.api.patch(at("versions", version_id), {"available": available}), COLUMNS)


@command(app, "diff")
def diff(
    session: Session,
    version_id: VersionId,
    against: Annotated[str | None, typer.Option(help="ver_…; default: the version before")] = None,
) -> None:
    """Say what a version adds, removes and changes."""
    found = session.api.get(at("versions", version_id, "diff"), against=against)
    if session.out.is_document:
        session.out.value(found)
    elif session.out.format is Format.CSV:
        session.out.items(rows(found), ROW_COLUMNS)
    else:
        session.out.lines(lines(found))


@command(app, "export")
def export(
    session: Session,
    version_id: VersionId,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="To write; else it is printed")] = None,
) -> None:
    """The version's definition, as it was imported."""
    print_definition(session, at("versions", version_id, "definition"), file)


def print_definition(session: Session, path: str, file: Path | None) -> None:
    """Byte for byte."""
    definition = session.api.call("GET", path).content
    session.out.raw(definition, file)
