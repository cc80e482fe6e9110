"""The difference of two versions for a terminal: what was added, removed and changed, in colour where there is some."""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from cli.client import Json
from cli.text import dump_json, printable

ROW_COLUMNS = "change what key place path from to"
LONGEST_VALUE = 200  # characters
NOUNS = {"pages": "page", "config": "field", "flows": "flow"}
STYLES = {"+": "green", "-": "red", "~": "yellow"}
MARKS = {"added": "+", "removed": "-", "changed": "~"}


def lines(diff: Json) -> Iterator[Text]:
    against = diff["against"]
    before = f"version {against['number']}" if against else "nothing"
    yield Text(f"{before} → version {diff['version']['number']}", style="bold")
    if diff["identical"]:
        yield Text("No difference.")
    if diff["integration"]:
        yield Text("integration", style="bold")
        yield from _fields(diff["integration"], 1)
    for section, noun in NOUNS.items():
        found = list(_parts(diff[section], 1))
        if found:
            yield Text(f"{noun}s", style="bold")
            yield from found


def rows(diff: Json) -> Iterator[Json]:
    """A row for every single change, for programs that read tables."""
    yield from _changes("integration", None, None, diff["integration"])
    for section, noun in NOUNS.items():
        yield from _part_rows(diff[section], noun)
        for changed in diff[section]["changed"]:
            yield from _part_rows(changed.get("steps") or {}, f"step of {changed['key']}")


def _parts(parts: Json, depth: int, noun: str = "") -> Iterator[Text]:
    for change in ("added", "removed"):
        for part in parts[change]:
            yield _line(MARKS[change], f"{noun}{_part(part)}", depth)
    for changed in parts["changed"]:
        yield _line("~", f"{noun}{changed['place'] if noun else changed['key']}", depth)
        yield from _fields(changed["fields"], depth + 1)
        if "steps" in changed:
            yield from _parts(changed["steps"], depth + 1, "step ")


def _part(part: Json) -> str:
    """A step by its path, a field with its page."""
    key, kind, place = part["key"], part["kind"], part["place"]
    is_step = place is not None and (place == key or place.endswith(f".{key}"))
    told = place if is_step else key
    if kind is not None:
        told += f" ({kind})"
    return told if is_step or place is None else f"{told} on {place}"


def _fields(changes: list[Json], depth: int) -> Iterator[Text]:
    for change in changes:
        line = _line("", f"{change['path']}: ", depth)
        line.append(_value(change["from"]), style=STYLES["-"])
        line.append(" → ")
        line.append(_value(change["to"]), style=STYLES["+"])
        yield line


def _line(mark: str, text: str, depth: int) -> Text:
    indented = "  " * depth + (f"{mark} " if mark else "")
    return Text(indented + printable(text), style=STYLES.get(mark, ""))


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text = dump_json(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _part_rows(parts: Json, noun: str) -> Iterator[Json]:
    for change in ("added", "removed"):
        for part in parts.get(change, []):
            yield {"change": change, "what": noun, "key": part["key"], "place": part["place"], "to": part["kind"]}
    for changed in parts.get("changed", []):
        yield from _changes(noun, changed["key"], changed["place"], changed["fields"])


def _changes(noun: str, key: str | None, place: str | None, changes: list[Json]) -> Iterator[Json]:
    for change in changes:
        yield {"change": "changed", "what": noun, "key": key, "place": place, **change}
