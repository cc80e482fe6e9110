"""What an expression may refer to: the roots, the configuration, and the steps that can have run before it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from domain.connections import KINDS
from domain.definitions.model import ConfigField, Step, walk
from domain.definitions.places import Report
from domain.text import truncate
from domain.values import Location, Path, PathSyntax, is_expression, parse_template

TRIGGER_ROOTS = frozenset({"trigger", "config", "customer", "instance", "execution", "flows"})
STEP_ROOTS = TRIGGER_ROOTS | {"steps"}
POLL_ROOTS = frozenset({"poll", "config", "customer", "instance", "flows"})
ITEM_ROOTS = frozenset({"item", "index"})

_MEMBERS = {
    "trigger": ("body", "headers", "query", "method", "path", "content_type", "raw"),
    "customer": ("id", "external_id", "name"),
    "instance": ("id", "name"),
    "execution": ("id", "attempt"),
    "loop": ("item", "index"),
    "poll": ("cursor",),
}
_KEYED = {"config": "a config key", "steps": "a step", "flows": "a flow"}
_ROOTS = (*_MEMBERS, *_KEYED, *ITEM_ROOTS)


@dataclass(frozen=True)
class Known:
    """What the whole definition offers to every expression."""

    fields: Mapping[str, ConfigField]
    flows: Mapping[str, str]  # by key what triggers it
    report: Report


@dataclass(frozen=True)
class Enclosing:
    """A loop's body, or one case of a branch."""

    step: str
    case: int | None = None


class Scope:
    """One flow's, moving through its steps in reading order."""

    def __init__(self, known: Known, steps: Iterable[Step] = ()) -> None:
        self.known = known
        self.report = known.report
        self.enclosing: list[Enclosing] = []
        steps = list(steps)
        self._homes = dict(_homes(steps, ()))
        self._waits = {step.key for step in walk(steps) if step.wait is not None}
        self._done: set[str] = set()

    @property
    def in_loop(self) -> bool:
        return any(each.case is None for each in self.enclosing)

    def finish(self, step: str) -> bool:
        """From here on the step may have run. False if it may have before, by a step of the same key."""
        new = step not in self._done
        self._done.add(step)
        return new

    def forget(self, steps: Iterable[str]) -> None:
        """Leaving a case or a loop's body, whose steps are out of sight until `finish`."""
        self._done.difference_update(steps)

    def check(self, value: Any, at: Location, *, secrets: bool = False, roots: Collection[str] = STEP_ROOTS) -> None:
        """All expressions of a nested value. `secrets` says whether secret config may stand here."""
        for location, text in _texts(value, at):
            try:
                paths = [part for part in parse_template(text) if isinstance(part, Path)]
            except PathSyntax as error:
                self.report.add(location, "bad_expression", f"{error.message} (character {error.offset + 1})")
                continue
            for path in paths:
                self._check_path(path, location, secrets, roots)

    def _check_path(self, path: Path, at: Location, secrets: bool, roots: Collection[str]) -> None:
        if path.root not in roots and not (path.root == "loop" and self.in_loop):
            self.report.add(at, "out_of_scope", self._unknown_root(path.root))
        elif path.root in _KEYED and not path.segments:
            self.report.add(at, "out_of_scope", f"{path.root} needs {_KEYED[path.root]}: {path.root}.<key>")
        elif path.root == "steps":
            self._check_step(path, at)
        elif path.root == "config":
            self._check_config(path, at, secrets)
        elif path.root == "flows":
            self._check_flow(path, at)
        elif path.root in _MEMBERS and path.segments and path.segments[0] not in _MEMBERS[path.root]:
            name, members = str(path.segments[0]), _MEMBERS[path.root]
            hint = self.report.did_you_mean(name, members) or f": it has {', '.join(members)}"
            self.report.add(at, "out_of_scope", f"{path.root} has no {truncate(name, 60)}{hint}")

    def _unknown_root(self, root: str) -> str:
        if root == "loop":
            return "loop is known only inside a loop"
        if root in ITEM_ROOTS:
            return f"{root} is known only where an action looks at each item; in a loop it is loop.{root}"
        if root in _ROOTS:
            return f"{root} is not known here"
        return f"there is no {truncate(root, 60)}{self.report.did_you_mean(root, _ROOTS)}"

    def _check_flow(self, path: Path, at: Location) -> None:
        key = str(path.segments[0])
        if path.segments[0] not in self.known.flows:
            hint = self.report.did_you_mean(key, self.known.flows)
            self.report.add(at, "out_of_scope", f"there is no flow {truncate(key, 60)}{hint}")
        elif path.segments[1:] not in ((), ("webhook_url",)):
            self.report.add(at, "out_of_scope", f"a flow has webhook_url only: flows.{key}.webhook_url")

    def _check_config(self, path: Path, at: Location, secrets: bool) -> None:
        key = str(path.segments[0])
        field = self.known.fields.get(key)
        if field is None:
            hint = self.report.did_you_mean(key, self.known.fields)
            self.report.add(at, "unknown_config_key", f"there is no config key {truncate(key, 60)}{hint}")
        elif field.type == "html":
            self.report.add(at, "unknown_config_key", f"config.{key} is text on a page: it has no value")
        elif field.secret and not secrets:
            detail = f"config.{key} is secret: it may stand in an action's inputs and in security only"
            self.report.add(at, "secret_not_allowed", detail)
        elif field.type == "connection" and path.segments[1:]:
            self._check_connection(field, path, at)

    def _check_connection(self, field: ConfigField, path: Path, at: Location) -> None:
        kind = KINDS.get(field.connection or "")
        found = kind.input(str(path.segments[1])) if kind else None
        if kind and found is None:
            names = ", ".join(each.key for each in kind.inputs if not each.secret) or "no field that is not secret"
            self.report.add(
                at, "unknown_config_key", f"{kind.key} has no {truncate(str(path.segments[1]), 60)}: {names}"
            )
        elif found and found.secret:
            detail = f"{found.key} is the connection's secret: it reaches an action through its connection alone"
            self.report.add(at, "secret_not_allowed", detail)

    def _check_step(self, path: Path, at: Location) -> None:
        key = str(path.segments[0])
        if key not in self._homes:
            hint = self.report.did_you_mean(key, self._homes)
            self.report.add(at, "unknown_step", f"there is no step {truncate(key, 60)} in this flow{hint}")
        elif any(key == each.step for each in self.enclosing):
            self._check_enclosing(key, path, at)
        elif key not in self._done and not self._is_callback(key, path):
            self.report.add(at, "out_of_scope", self._unseen(key))

    def _is_callback(self, key: str, path: Path) -> bool:
        """The address of a wait is known before the wait is reached; inside a loop, that of the same round."""
        loops = {each for each in self._homes[key] if each.case is None}
        return key in self._waits and path.segments[1:] == ("callback_url",) and loops <= set(self.enclosing)

    def _check_enclosing(self, key: str, path: Path, at: Location) -> None:
        is_loop = any(each == Enclosing(key) for each in self.enclosing)
        if is_loop and path.segments[1:2] not in (("item",), ("index",)):
            detail = f"inside the loop {key} only steps.{key}.item and steps.{key}.index are known"
            self.report.add(at, "out_of_scope", detail)
        elif not is_loop:
            self.report.add(at, "out_of_scope", f"the branch {key} has not ended here: it has no value yet")

    def _unseen(self, key: str) -> str:
        home, here = self._homes[key], tuple(self.enclosing)
        shared = next(
            (n for n, (a, b) in enumerate(zip(home, here, strict=False)) if a != b), min(len(home), len(here))
        )
        for inner in home[shared : shared + 1]:
            if shared < len(here) and here[shared].step == inner.step:
                return f"step {key} is in another case of the branch {inner.step}"
        for inner in home[shared:]:
            if inner.case is None and inner.step in self._done:
                outside = f"outside of it use steps.{inner.step}, the list of its values"
                return f"step {key} is inside the loop {inner.step}: {outside}"
        return f"step {key} cannot have run before this"


def _homes(steps: Iterable[Step], home: tuple[Enclosing, ...]) -> Iterator[tuple[str, tuple[Enclosing, ...]]]:
    for step in steps:
        yield step.key, home
        yield from _homes(step.steps or (), (*home, Enclosing(step.key)))
        for index, case in enumerate(step.branch or ()):
            yield from _homes(case.steps, (*home, Enclosing(step.key, index)))


def _texts(value: Any, at: Location) -> Iterator[tuple[Location, str]]:
    pending = [(at, value)]
    while pending:
        location, item = pending.pop()
        if isinstance(item, str):
            if is_expression(item):
                yield location, item
        elif isinstance(item, dict):
            pending.extend(((*location, key), item[key]) for key in reversed(item))
        elif isinstance(item, list):
            pending.extend(((*location, index), item[index]) for index in reversed(range(len(item))))
