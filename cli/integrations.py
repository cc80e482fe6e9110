"""`flowgraft integrations`: definitions in and out, and publishing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli.client import Json, at
from cli.failures import ExitCode
from cli.given import Overlap, read_text, rotation, values
from cli.session import Many, Paging, Session, Text, command
from cli.upgrades import COLUMNS as UPGRADE_COLUMNS
from cli.upgrades import Plan, finish, print_forecast
from cli.versions import COLUMNS as VERSION_COLUMNS
from cli.versions import print_definition

COLUMNS = "id key name latest_version.number has_unpublished_changes instance_count updated_at"
FIELDS = (
    "id key name description category labels latest_version.number latest_version.id has_unpublished_changes "
    "instance_count endpoint.url endpoint.previous_url_until created_at updated_at"
)
FINDING_COLUMNS = "level line column pointer detail"
AS_YAML = {"Content-Type": "application/yaml"}

app = typer.Typer(no_args_is_help=True, help="Integrations and their definitions.")

IntegrationId = Annotated[str, typer.Argument(metavar="ID", help="intg_…")]
Definition = Annotated[str, typer.Option("--file", "-f", help="The definition; - is standard input")]


@dataclass(frozen=True)
class Filters:
    q: Text = None
    label: Many = None
    category: Many = None


@command(app, "list")
def list_(session: Session, filters: Filters, paging: Paging) -> None:
    """List integrations, newest first."""
    session.listed(at("integrations"), COLUMNS, paging, filters)


@command(app, "get")
def get(session: Session, integration_id: IntegrationId) -> None:
    """Show an integration."""
    session.out.item(session.api.get(at("integrations", integration_id)), FIELDS)


@command(app, "import")
def import_(session: Session, file: Definition) -> None:
    """Create an integration from a definition, or replace the draft of the one with the same key."""
    answer = session.api.call("POST", at("integrations"), content=read_text(file).encode(), headers=AS_YAML)
    session.out.talk("Created." if answer.status_code == 201 else "The draft is replaced.")
    session.out.item(answer.json(), FIELDS)


@command(app, "validate")
def validate(session: Session, file: Definition) -> None:
    """Check a definition; nothing is stored. Exit code 1 when it has errors."""
    body = read_text(file).encode()
    check = session.api.call("POST", at("definitions", "validate"), content=body, headers=AS_YAML).json()
    _print_check(session, check)
    if not check["valid"]:
        raise typer.Exit(ExitCode.FAILED)


@command(app, "export")
def export(
    session: Session,
    integration_id: IntegrationId,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="To write; else it is printed")] = None,
) -> None:
    """The draft's definition, as it was imported."""
    print_definition(session, at("integrations", integration_id, "definition"), file)


@command(app, "publish")
def publish(
    session: Session,
    integration_id: IntegrationId,
    comment: Annotated[str | None, typer.Option("--comment", "-c", help="What is new")] = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", "-a", help="commit_hash=9f2c1e7, external_version=1.4.0 …")
    ] = None,
) -> None:
    """Make the draft the next version."""
    body = {"comment": comment, "attributes": values(attribute or [])}
    session.out.item(session.api.post(at("integrations", integration_id, "versions"), body), VERSION_COLUMNS)


@command(app, "upgrade")
def upgrade(
    session: Session,
    integration_id: IntegrationId,
    plan: Plan,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change or fail")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most")] = None,
) -> None:
    """Move many instances to a version, ring by ring. With --dry-run exit code 1 when some would fail."""
    answer = session.api.post(at("integrations", integration_id, "upgrade"), plan.body(dry_run))
    if dry_run:
        print_forecast(session, answer)
    elif wait:
        finish(session, answer["id"], timeout)
    else:
        session.out.item(answer, UPGRADE_COLUMNS)


@command(app, "rotate-endpoint")
def rotate_endpoint(session: Session, integration_id: IntegrationId, overlap: Overlap = None) -> None:
    """Give the endpoint that all instances share another URL; the old one is refused at once, or after the overlap."""
    session.out.item(session.api.post(at("integrations", integration_id, "rotate_endpoint"), rotation(overlap)), FIELDS)


@command(app, "versions")
def versions(session: Session, integration_id: IntegrationId, paging: Paging) -> None:
    """List an integration's versions, newest first."""
    session.listed(at("integrations", integration_id, "versions"), VERSION_COLUMNS, paging)


def _print_check(session: Session, check: Json) -> None:
    if session.out.is_document:
        session.out.value(check)
        return
    levels = {"error": check["errors"], "warning": check["warnings"]}
    findings = [{"level": level, **each} for level, found in levels.items() for each in found]
    session.out.items(findings, FINDING_COLUMNS)
    session.out.talk("Valid." if check["valid"] else "Not valid.")
