"""What is new in what a poll returns, and what is remembered for the next one."""

from dataclasses import dataclass, field
from typing import Any

from domain.errors import StepFailed
from domain.jsontext import dumps
from domain.values import lookup, parse_path

NO_CHANGES = "no_changes"  # the reason of an execution that had nothing to run with
STATE_KEY = "$poll"  # of the flow's state
REMEMBERED = 10_000  # ids of items
MOST = 10_000  # items of one poll


@dataclass
class Memory:
    """Between polls. `seen` are hashes of ids, the latest last."""

    cursor: Any = None
    seen: list[str] = field(default_factory=list)


def items_at(output: Any, path: str) -> list[Any]:
    """Raises StepFailed `invalid_poll`."""
    found = at(output, path)
    if found is None:
        return []
    if not isinstance(found, list):
        raise StepFailed(f"{path} of what was polled is no list", code="invalid_poll")
    if len(found) > MOST:
        raise StepFailed(f"One poll returns at most {MOST:,} items, not {len(found):,}", code="invalid_poll")
    return found


def identity(item: Any, path: str | None) -> str:
    """What tells an item from others; all of it where it has nothing of its own there."""
    own = at(item, path) if path is not None else None
    return dumps(item if own is None else own)


def remembered(seen: list[str], new: list[str]) -> list[str]:
    return [*seen, *new][-REMEMBERED:]


def at(value: Any, path: str) -> Any:
    return lookup(parse_path(f"output.{path}"), {"output": value})
