"""The `flowgraft` command, whole: with what starts the product or looks into it."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from activities.vault import open_keyring
from cli import doctor
from cli.dev import DevOptions, run_dev
from cli.nouns import app
from cli.workers import run_workers
from domain.errors import Unavailable
from runtime.logs import configure_logs
from runtime.settings import Settings, SettingsInvalid, load_settings
from store.engine import Database
from store.migrate import ensure_current, upgrade

__all__ = ["app"]

db = typer.Typer(no_args_is_help=True, help="The database.")
app.add_typer(db, name="db")
app.add_typer(doctor.root)


@app.command()
def dev(
    port: Annotated[int | None, typer.Option(help="Of the API; 8700 or the next free one")] = None,
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept")] = Path(".flowgraft"),
    temporal_port: Annotated[int | None, typer.Option(help="7233 or the next free one; its Web UI: + 1000")] = None,
    seed: Annotated[bool, typer.Option(help="Two example instances, one green and one red execution")] = True,
) -> None:
    """Start everything on this machine: Temporal with its Web UI, API, worker, SQLite. One Ctrl-C ends it."""
    raise typer.Exit(run_dev(DevOptions(port, data_dir, temporal_port, seed)))


@app.command()
def api(
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option()] = 8700,
) -> None:
    """Serve the API. Settings come from the environment."""
    _ready()
    signal.signal(signal.SIGTERM, _done)  # uvicorn raises the signal once more when it has finished
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=30,
        timeout_keep_alive=75,  # longer than those before it keep theirs: else one sends into a connection that closes
    )


@app.command()
def worker(
    processes: Annotated[int, typer.Option(min=1, help="How many; one uses one core")] = 1,
    watch_only: Annotated[bool, typer.Option("--watch-only", help="No flows: monitors and their messages")] = False,
) -> None:
    """Run flows. Settings come from the environment."""
    settings = _ready()
    if watch_only:
        os.execv(sys.executable, [sys.executable, "-m", "worker", "--watch-only"])
    if processes == 1:
        os.execv(sys.executable, [sys.executable, "-m", "worker"])
    raise typer.Exit(asyncio.run(run_workers(processes, settings.metrics_port)))


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the database to the newest schema."""
    upgrade(_settings().database_url)
    typer.echo("The database is at the newest schema.")


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsInvalid as error:
        raise _refused(str(error)) from error


def _done(_signal: int, _frame: object) -> None:
    sys.exit(0)


def _ready() -> Settings:
    """Ends here, in one clear line, what could not serve anyway: no keys, an old schema, no database."""
    settings = _settings()
    configure_logs(settings.log_level)
    try:
        asyncio.run(_check_database(settings))
    except (SettingsInvalid, Unavailable) as error:
        raise _refused(str(error)) from error
    return settings


async def _check_database(settings: Settings) -> None:
    keys, database = settings.keys, Database(settings.database_url)
    try:
        await ensure_current(database)
        await open_keyring(database, keys)
    finally:
        await database.dispose()


def _refused(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(2)


if __name__ == "__main__":
    app()
