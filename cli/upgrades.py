"""`flowgraft upgrades`: bulk upgrades under way. `flowgraft integrations upgrade` begins one."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.client import Json, at
from cli.failures import ExitCode
from cli.session import Many, Paging, Session, command
from cli.watching import finish_job

COLUMNS = (
    "id state stage version.number ring matched done succeeded failed skipped rolled_back observed.ended "
    "observed.percent error.message created_at updated_at"
)
LIST_COLUMNS = "id integration_id version.number state stage matched done failed rolled_back created_at"
ITEM_COLUMNS = "position instance_id ring status reason from.number to.number problems deployment_id updated_at"
FORECAST_COLUMNS = "instance_id from.number to.number ok skipped deploys problems flows_added flows_removed"

app = typer.Typer(no_args_is_help=True, help="Bulk upgrades of instances.")

UpgradeId = Annotated[str, typer.Argument(metavar="ID", help="upg_…")]
Timeout = Annotated[float | None, typer.Option(help="Seconds to wait at most")]


@dataclass(frozen=True)
class Plan:
    version_id: Annotated[
        str | None, typer.Option("--version-id", "-v", help="ver_…, up or down; default: the latest available")
    ] = None
    instance: Annotated[list[str] | None, typer.Option(help="inst_…, repeated, in this order; default: all")] = None
    redeploy: Annotated[bool, typer.Option("--redeploy/--no-redeploy", help="Deploy again what is deployed")] = True
    rate_per_second: Annotated[float | None, typer.Option(help="At most so many a second")] = None
    rings: Annotated[
        str | None, typer.Option(help="How far to go before each look at what fails: 1,5%,100%", metavar="RINGS")
    ] = None
    stop_at_failure_percent: Annotated[
        float | None, typer.Option(help="Of the upgraded instances' executions: beyond, all are rolled back")
    ] = None
    min_executions: Annotated[int | None, typer.Option(help="With fewer nothing is rolled back")] = None
    watch_seconds: Annotated[float | None, typer.Option(help="After each ring")] = None

    def body(self, dry_run: bool) -> dict[str, Any]:
        """What was said; the rest is the server's choice."""
        said = {
            "version_id": self.version_id,
            "instance_ids": self.instance or None,
            "rate_per_second": self.rate_per_second,
            "rings": _rings(self.rings) if self.rings else None,
            "stop_at_failure_percent": self.stop_at_failure_percent,
            "min_executions": self.min_executions,
            "watch_seconds": self.watch_seconds,
        }
        told = {name: value for name, value in said.items() if value is not None}
        return told | {"redeploy": self.redeploy, "dry_run": dry_run}


@command(app, "list")
def list_(session: Session, paging: Paging, integration_id: Many = None, state: Many = None) -> None:
    """List upgrades, newest first."""
    session.listed(at("upgrades"), LIST_COLUMNS, paging, integration_id=integration_id, state=state)


@command(app, "get")
def get(session: Session, upgrade_id: UpgradeId) -> None:
    """Show how far an upgrade has come."""
    session.out.item(session.api.get(at("upgrades", upgrade_id)), COLUMNS)


@command(app, "items")
def items(session: Session, upgrade_id: UpgradeId, paging: Paging, status: Many = None) -> None:
    """List what has become of each instance, in the order of the rings."""
    session.listed(at("upgrades", upgrade_id, "items"), ITEM_COLUMNS, paging, status=status)


@command(app, "pause")
def pause(session: Session, upgrade_id: UpgradeId) -> None:
    """Begin no other instance. What is being deployed is finished."""
    session.out.item(session.api.post(at("upgrades", upgrade_id, "pause")), COLUMNS)


@command(app, "resume")
def resume(session: Session, upgrade_id: UpgradeId) -> None:
    """Go on after a pause."""
    session.out.item(session.api.post(at("upgrades", upgrade_id, "resume")), COLUMNS)


@command(app, "abort")
def abort(session: Session, upgrade_id: UpgradeId) -> None:
    """End it here. What is upgraded stays so."""
    session.out.item(session.api.post(at("upgrades", upgrade_id, "abort")), COLUMNS)


@command(app, "watch")
def watch(session: Session, upgrade_id: UpgradeId, timeout: Timeout = None) -> None:
    """Wait until it has ended, then show it. Exit code 1 unless every instance is upgraded or rightly skipped."""
    finish(session, upgrade_id, timeout)


def finish(session: Session, upgrade_id: str, timeout: float | None) -> None:
    upgrade = finish_job(session, upgrade_id, timeout, path=at("upgrades", upgrade_id), columns=COLUMNS)
    if upgrade["failed"]:
        raise typer.Exit(ExitCode.FAILED)


def print_forecast(session: Session, preview: Json) -> None:
    """Exit code 1 when some would fail."""
    if session.out.is_document:
        session.out.value(preview)
    else:
        session.out.items(preview["items"], FORECAST_COLUMNS)
    failing = sum(not each["ok"] for each in preview["items"])
    session.out.talk(f"{failing} of {len(preview['items'])} would fail.")
    if preview["has_more"]:
        session.out.talk(f"{preview['matched']} are matched: name the others with --instance.")
    if failing:
        raise typer.Exit(ExitCode.FAILED)


def _rings(text: str) -> list[dict[str, float]]:
    return [_ring(part.strip()) for part in text.split(",")]


def _ring(text: str) -> dict[str, float]:
    try:
        return {"percent": float(text[:-1])} if text.endswith("%") else {"count": int(text)}
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no ring: say 1, 5% or 100%, with commas") from error
