"""`flowgraft login`, `logout` and `profiles`: which servers this terminal knows."""

import sys
from typing import Annotated

import typer

from cli.client import Api, at, masked
from cli.profiles import (
    DEFAULT_NAME,
    Target,
    checked_key,
    checked_name,
    checked_url,
    load_profiles,
    save_profiles,
    unusable,
)
from cli.session import Session, command

COLUMNS = "name url api_key current"

root = typer.Typer()
app = typer.Typer(no_args_is_help=True, help="The servers that you are logged in to.")

Name = Annotated[str, typer.Argument(help="Of the profile")]


@command(root, "login")
def login(session: Session) -> None:
    """Keep a server and its API key as a profile. Without --api-key it is asked for, or read from standard input."""
    options = session.connection
    profiles = load_profiles(options.file)
    name = checked_name(options.profile or DEFAULT_NAME)
    known = profiles.known.get(name)
    if not (url := options.url or (known.url if known else None)):
        raise unusable("Which server? flowgraft login --url https://flowgraft.example.com")
    target = Target(checked_url(url), checked_key(options.api_key or _asked_for_key()))
    with Api(target) as api:
        api.get(at("customers"), limit=1)
    save_profiles(options.file, profiles.using(name, target))
    session.out.talk(f"Logged in to {target.url}; the profile {name} is used from now on.")


@command(root, "logout")
def logout(session: Session) -> None:
    """Forget the current profile and its key, or the one named by --profile."""
    options = session.connection
    profiles = load_profiles(options.file)
    name = options.profile or profiles.current
    if name is None:
        session.out.talk("You are not logged in.")
        return
    profiles.find(name)
    save_profiles(options.file, profiles.without(name))
    session.out.talk(f"The profile {name} is forgotten.")


@command(app, "list")
def list_(session: Session) -> None:
    """List profiles; of the keys only how they begin."""
    profiles = load_profiles(session.connection.file)
    rows = [
        {"name": name, "url": target.url, "api_key": masked(target.api_key), "current": name == profiles.current}
        for name, target in profiles.known.items()
    ]
    session.out.items(rows, COLUMNS)


@command(app, "use")
def use(session: Session, name: Name) -> None:
    """Use this profile from now on."""
    profiles = load_profiles(session.connection.file)
    profiles.find(name)
    save_profiles(session.connection.file, profiles.using(name))
    session.out.talk(f"The profile {name} is used from now on.")


@command(app, "delete")
def delete(session: Session, name: Name) -> None:
    """Forget this profile and its key."""
    profiles = load_profiles(session.connection.file)
    profiles.find(name)
    save_profiles(session.connection.file, profiles.without(name))
    session.out.talk(f"The profile {name} is forgotten.")


def _asked_for_key() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("API key", hide_input=True, err=True))
    return sys.stdin.readline().strip()
