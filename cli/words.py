"""Other ways to write the same commands: `instances:list`, Prismatic's names, `api GET …`."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

ALIASES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("instances", "flow-configs", "list"): ("flows", "list"),
    ("instances", "flow-configs", "test"): ("flows", "test"),
    ("integrations", "flows", "list"): ("flows", "list"),
    ("integrations", "flows", "test"): ("flows", "test"),
    ("integrations", "flows", "listen"): ("flows", "listen"),
    ("instances", "config-vars", "list"): ("instances", "config", "get"),
    ("instances", "enable"): ("instances", "unpause"),
    ("instances", "disable"): ("instances", "pause"),
    ("integrations", "available"): ("versions", "set-available"),
    ("integrations", "validate-yaml"): ("integrations", "validate"),
    ("alerts", "monitors"): ("monitors",),
    ("alerts", "groups"): ("alert-groups",),
    ("alerts", "events", "list"): ("alerts", "list"),
}


class Words(TyperGroup):
    """The root of all commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, translated(args))


def translated(arguments: Sequence[str]) -> list[str]:
    """The command's words only: what follows them stays as it is."""
    if not arguments:
        return []
    words = [*arguments[0].split(":"), *arguments[1:]]
    if words[0] == "api" and len(words) > 1 and words[1].upper() in METHODS:
        return ["request", *words[1:]]
    for alias, meaning in ALIASES.items():
        if tuple(words[: len(alias)]) == alias:
            return [*meaning, *words[len(alias) :]]
    return words
