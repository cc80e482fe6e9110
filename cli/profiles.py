"""Which server, with which key: flags first, then the environment, then a profile in the configuration file."""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from cli.failures import CommandFailed, ExitCode

PANEL = "Connection"
DEFAULT_NAME = "default"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
KEY = re.compile(r"[\x21-\x7e]+")
DEV_KEY = Path(".flowgraft") / "api_key"


@dataclass(frozen=True)
class ConnectionOptions:
    profile: Annotated[
        str | None,
        typer.Option("--profile", "-P", envvar="FLOWGRAFT_PROFILE", help="Of your logins", rich_help_panel=PANEL),
    ] = None
    url: Annotated[str | None, typer.Option(envvar="FLOWGRAFT_URL", help="Of the server", rich_help_panel=PANEL)] = None
    api_key: Annotated[
        str | None, typer.Option(envvar="FLOWGRAFT_API_KEY", help="Rather not as a flag", rich_help_panel=PANEL)
    ] = None
    config_file: Annotated[
        Path | None, typer.Option(envvar="FLOWGRAFT_CONFIG", help="With the profiles", rich_help_panel=PANEL)
    ] = None

    @property
    def file(self) -> Path:
        return self.config_file or Path.home() / ".config" / "flowgraft" / "config.toml"

    def preferring(self, flags: Collection[str]) -> "ConnectionOptions":
        """A profile that is named by a flag beats a server named by the environment; `flags` were really given."""
        if "profile" not in flags:
            return self
        return replace(
            self,
            url=self.url if "url" in flags else None,
            api_key=self.api_key if "api_key" in flags else None,
        )


@dataclass(frozen=True)
class Target:
    url: str
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Profiles:
    """The configuration file."""

    current: str | None = None
    known: dict[str, Target] = field(default_factory=dict)

    def find(self, name: str | None) -> Target | None:
        """The profile of this name, or the current one. Fails for a name that nobody has logged in with."""
        if name is not None and name not in self.known:
            there = ", ".join(self.known) or "none yet"
            raise unusable(f"There is no profile {name}; there are: {there}. Make it: flowgraft login -P {name}")
        return self.known.get(name or self.current or "")

    def using(self, name: str, target: Target | None = None) -> "Profiles":
        return Profiles(name, self.known | ({name: target} if target else {}))

    def without(self, name: str) -> "Profiles":
        known = {each: target for each, target in self.known.items() if each != name}
        return Profiles(None if self.current == name else self.current, known)


def load_profiles(path: Path) -> Profiles:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        known = {name: Target(each["url"], each["api_key"]) for name, each in document.get("profiles", {}).items()}
    except FileNotFoundError:
        return Profiles()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise unusable(f"{path} cannot be read: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise unusable(f"{path} has a profile without url and api_key: mend it, or log in again") from error
    return Profiles(document.get("current"), known)


def save_profiles(path: Path, profiles: Profiles) -> None:
    """Whole or not at all, for its owner only."""
    lines = [f"current = {_quoted(profiles.current)}"] if profiles.current else []
    for name, target in profiles.known.items():
        lines += ["", f"[profiles.{_quoted(name)}]"]
        lines += [f"url = {_quoted(target.url)}", f"api_key = {_quoted(target.api_key)}"]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # 0600 from the start
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, ""]))
    os.replace(draft, path)


def resolve(options: ConnectionOptions) -> Target:
    """Where to, with what. A profile's key never goes to another server than the profile's."""
    found = load_profiles(options.file).find(options.profile) if not (options.url and options.api_key) else None
    url, api_key = options.url or (found and found.url), options.api_key or (found and found.api_key)
    if found and options.url and not options.api_key and checked_url(options.url) != found.url:
        raise unusable(f"The profile's key is for {found.url}; give the key of {options.url} too: FLOWGRAFT_API_KEY")
    if not url:
        raise unusable(f"No server is named: flowgraft login --url URL, or --url, or FLOWGRAFT_URL.{_dev_hint()}")
    if not api_key:
        raise unusable(f"No API key is given: flowgraft login --url {url}, or FLOWGRAFT_API_KEY.{_dev_hint()}")
    return Target(checked_url(url), checked_key(api_key))


def checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise unusable(f"{url!r} is not the address of a server, such as https://flowgraft.example.com")
    return url.rstrip("/")


def checked_key(key: str) -> str:
    if not KEY.fullmatch(key):
        raise unusable("This is no API key: it must be letters, digits and signs, and not empty")
    return key


def checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise unusable("A profile's name is 1 to 64 letters, digits, dashes and underscores")
    return name


def unusable(message: str) -> CommandFailed:
    return CommandFailed(message, ExitCode.USAGE)


def _dev_hint() -> str:
    if not DEV_KEY.is_file():
        return ""
    return f"\n`flowgraft dev` keeps its key here: flowgraft login --url http://127.0.0.1:8700 < {DEV_KEY}"


def _quoted(text: str) -> str:
    """A TOML string: for what we store, JSON's rules are the same."""
    return json.dumps(text, ensure_ascii=False)
