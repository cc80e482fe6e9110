"""What differs between two definitions. Flows, steps, config fields and pages are the same thing when their key is."""

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from domain.definitions.model import Definition

HIDDEN = "********"

Json = dict[str, Any]

_ABSENT = object()
_KINDS = ("branch", "loop", "stop", "break", "sleep", "wait", "call")


@dataclass(frozen=True)
class FieldChange:
    """`path` says where within its part, such as `trigger.cron`. Absent is None."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Part:
    """Something added or removed. `place` is a step's path or a field's page."""

    key: str
    name: str
    kind: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Changed:
    key: str
    name: str
    place: str | None = None
    fields: list[FieldChange] = field(default_factory=list)


Kept = TypeVar("Kept", bound=Changed)


@dataclass(frozen=True)
class PartsDiff(Generic[Kept]):
    added: list[Part] = field(default_factory=list)
    removed: list[Part] = field(default_factory=list)
    changed: list[Kept] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True)
class ChangedFlow(Changed):
    steps: PartsDiff[Changed] = field(default_factory=PartsDiff)


@dataclass(frozen=True)
class DefinitionDiff:
    """`fields` are those of the integration itself."""

    fields: list[FieldChange]
    pages: PartsDiff[Changed]
    config: PartsDiff[Changed]
    flows: PartsDiff[ChangedFlow]

    @property
    def identical(self) -> bool:
        return not self.fields and self.pages.empty and self.config.empty and self.flows.empty


@dataclass(frozen=True)
class _Item:
    """A part with its own attributes, and where it stands: `inside` what, at which `index` from 1."""

    part: Part
    own: Json
    inside: str
    index: int


def diff(before: Definition | None, after: Definition) -> DefinitionDiff:
    """Without `before` everything is new."""
    old, new = _dump(before) if before else {}, _dump(after)
    old_flows, new_flows = _flows(old), _flows(new)
    return DefinitionDiff(
        fields=list(_changes(_without(old, "config", "flows"), _without(new, "config", "flows"))) if before else [],
        pages=_parts(_pages(old), _pages(new)),
        config=_masked(_parts(_fields(old), _fields(new)), _secret_keys(old) | _secret_keys(new)),
        flows=PartsDiff(
            added=[item.part for key, item in new_flows.items() if key not in old_flows],
            removed=[item.part for key, item in old_flows.items() if key not in new_flows],
            changed=list(_changed_flows(old_flows, new_flows)),
        ),
    )


def _dump(definition: Definition) -> Json:
    return definition.model_dump(mode="json", by_alias=True)


def _without(node: Json, *names: str) -> Json:
    return {name: value for name, value in node.items() if name not in names}


def _pages(tree: Json) -> dict[str, _Item]:
    return {
        name: _Item(Part(name, page["page"]), _without(page, "fields"), "", at)
        for at, (name, page) in _numbered(_named_pages(tree))
    }


def _fields(tree: Json) -> dict[str, _Item]:
    return {
        each["key"]: _Item(Part(each["key"], each["label"] or each["key"], each["type"], name), each, name, at)
        for name, page in _named_pages(tree)
        for at, each in _numbered(page["fields"])
    }


def _named_pages(tree: Json) -> list[tuple[str, Json]]:
    """A page has no key but its name; a second one of that name is told apart."""
    found: dict[str, Json] = {}
    for page in tree.get("config", []):
        name, copies = page["page"], 1
        while name in found:
            copies += 1
            name = f"{page['page']} ({copies})"
        found[name] = page
    return list(found.items())


def _flows(tree: Json) -> dict[str, _Item]:
    return {
        flow["key"]: _Item(Part(flow["key"], flow["name"] or flow["key"], flow["trigger"]["type"]), flow, "", at)
        for at, flow in _numbered(tree.get("flows", []))
    }


def _steps(steps: Sequence[Json], inside: str = "") -> Iterator[tuple[str, _Item]]:
    """Also the nested ones, in reading order."""
    for at, step in _numbered(steps):
        path = f"{inside}.{step['key']}" if inside else step["key"]
        own = _without(step, "steps", "branch") | {"branch": _cases(step)}
        kind = step["action"] or next((name for name in _KINDS if step[name] is not None), None)
        yield step["key"], _Item(Part(step["key"], step["name"] or step["key"], kind, path), own, inside, at)
        yield from _steps(step["steps"] or [], path)
        for case in step["branch"] or []:
            yield from _steps(case["steps"], f"{path}[{case['name']}]")


def _cases(step: Json) -> Json | None:
    """A branch without the steps within: its cases in order, and the condition of each."""
    if step["branch"] is None:
        return None
    names = [case["name"] for case in step["branch"]]
    unique = len(set(names)) == len(names)
    named = {name if unique else f"{at} {name}": at - 1 for at, name in _numbered(names)}
    return {"cases": names, "when": {name: step["branch"][at]["when"] for name, at in named.items()}}


def _numbered(items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    return enumerate(items, 1)


def _parts(old: Mapping[str, _Item], new: Mapping[str, _Item]) -> PartsDiff[Changed]:
    moved = _moved(old, new)
    changed = [
        Changed(key, item.part.name, item.part.place, changes)
        for key, item in new.items()
        if key in old and (changes := [*_place(old[key], item, key in moved), *_changes(old[key].own, item.own)])
    ]
    return PartsDiff(
        added=[item.part for key, item in new.items() if key not in old],
        removed=[item.part for key, item in old.items() if key not in new],
        changed=changed,
    )


def _changed_flows(old: Mapping[str, _Item], new: Mapping[str, _Item]) -> Iterator[ChangedFlow]:
    moved = _moved(old, new)
    for key, item in new.items():
        if key not in old:
            continue
        before, after = old[key].own, item.own
        steps = _parts(dict(_steps(before["steps"])), dict(_steps(after["steps"])))
        own = _changes(_without(before, "steps"), _without(after, "steps"))
        changes = [*_place(old[key], item, key in moved), *own]
        if changes or not steps.empty:
            yield ChangedFlow(key, item.part.name, None, changes, steps)


def _place(old: _Item, new: _Item, moved: bool) -> Iterator[FieldChange]:
    if old.inside != new.inside:
        yield FieldChange("inside", old.inside or None, new.inside or None)
    elif moved:
        yield FieldChange("position", old.index, new.index)


def _moved(old: Mapping[str, _Item], new: Mapping[str, _Item]) -> set[str]:
    """Of those that stayed inside the same thing, the fewest whose moves explain the new order."""
    stayed: dict[str, list[str]] = {}
    for key, item in new.items():
        if key in old and old[key].inside == item.inside:
            stayed.setdefault(item.inside, []).append(key)
    moved: set[str] = set()
    for keys in stayed.values():
        moved |= set(keys) - _longest_rising(keys, {key: old[key].index for key in keys})
    return moved


def _longest_rising(keys: Sequence[str], rank: Mapping[str, int]) -> set[str]:
    """The most keys, in their order, whose ranks rise."""
    ends: list[str] = []  # the key with the least rank that ends a rising row of each length
    before: dict[str, str | None] = {}
    for key in keys:
        at = bisect_left(ends, rank[key], key=rank.__getitem__)
        before[key] = ends[at - 1] if at else None
        ends[at : at + 1] = [key]
    found: set[str] = set()
    last = ends[-1] if ends else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found


def _changes(old: Any, new: Any, path: str = "") -> Iterator[FieldChange]:
    """Down through objects; a list is one value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            below = f"{path}.{name}" if path else name
            yield from _changes(old.get(name, _ABSENT), new.get(name, _ABSENT), below)
    elif not _same(old, new):
        yield FieldChange(path, _shown(old), _shown(new))


def _same(old: Any, new: Any) -> bool:
    """As JSON: `true` is not 1."""
    if old is _ABSENT or new is _ABSENT:
        return old is new
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _shown(value: Any) -> Any:
    """Without what an object does not have."""
    if value is _ABSENT:
        return None
    if isinstance(value, dict):
        return {name: _shown(inner) for name, inner in value.items() if inner is not None}
    return [_shown(inner) for inner in value] if isinstance(value, list) else value


def _secret_keys(tree: Json) -> set[str]:
    return {
        each["key"]
        for page in tree.get("config", [])
        for each in page["fields"]
        if each["secret"] or each["type"] == "connection"
    }


def _masked(parts: PartsDiff[Changed], secret: set[str]) -> PartsDiff[Changed]:
    """A secret's default is told to have changed, no more."""
    changed = [
        Changed(each.key, each.name, each.place, [_hidden(change) for change in each.fields])
        if each.key in secret
        else each
        for each in parts.changed
    ]
    return PartsDiff(parts.added, parts.removed, changed)


def _hidden(change: FieldChange) -> FieldChange:
    if change.path != "default" and not change.path.startswith("default."):
        return change
    before, after = (None if value is None else HIDDEN for value in (change.before, change.after))
    return FieldChange(change.path, before, after)
