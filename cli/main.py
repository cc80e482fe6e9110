"""The `flowgraft` command."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from cli.dev import DevOptions, run_dev
from domain.errors import Unavailable
from runtime.crypto import Keyring
from runtime.logs import configure_logs
from runtime.settings import Settings, SettingsInvalid, load_settings
from store.engine import Database
from store.migrate import ensure_current, upgrade

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Flowgraft: integration instances on Temporal.")
db = typer.Typer(no_args_is_help=True, help="The database.")
app.add_typer(db, name="db")


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
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=30,
    )


@app.command()
def worker() -> None:
    """Run flows. Settings come from the environment."""
    _ready()
    os.execv(sys.executable, [sys.executable, "-m", "worker"])


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


def _ready() -> None:
    """Ends here, in one clear line, what could not serve anyway: no keys, an old schema, no database."""
    settings = _settings()
    configure_logs(settings.log_level)
    try:
        Keyring(settings.keys)
        asyncio.run(_check_schema(settings.database_url))
    except (SettingsInvalid, Unavailable) as error:
        raise _refused(str(error)) from error


async def _check_schema(url: str) -> None:
    database = Database(url)
    try:
        await ensure_current(database)
    finally:
        await database.dispose()


def _refused(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(2)


if __name__ == "__main__":
    app()
