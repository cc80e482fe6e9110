"""Where things stand in a definition: JSON pointers, dotted paths, lines and columns, and the report that uses them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from domain.errors import Problem
from domain.text import clean_text, nearest, truncate
from domain.values import Location

MOST_PROBLEMS = 100
MOST_CANDIDATES = 1000
LONGEST_TEXT = 1000

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def pointer(location: Location) -> str:
    """A JSON pointer as a URI fragment, such as `#/flows/0/steps/1`."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def dotted(location: Location) -> str:
    """As people write it: `flows[0].steps[1].inputs.url`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _NAME.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


@dataclass(slots=True)
class MarkNode:
    """Where one value begins, its key too if it has one; counted from 1."""

    value: tuple[int, int]
    key: tuple[int, int] | None = None
    children: dict[str | int, "MarkNode"] = field(default_factory=dict)


class Marks:
    def __init__(self, root: MarkNode) -> None:
        self._root = root

    def at(self, location: Location, *, key: bool = False) -> tuple[int, int]:
        """Line and column of the value, or of its key; of the nearest enclosing value where there is none."""
        node = self._root
        for part in location:
            child = node.children.get(part)
            if child is None:
                return node.value
            node = child
        return node.key if key and node.key else node.value


class TooManyProblems(Exception):
    """More than anybody reads; the hints of further ones would cost time only."""


class Report:
    """Collects problems, each with its place."""

    def __init__(self, marks: Marks, problems: Iterable[Problem] = ()) -> None:
        self._marks = marks
        self._problems = list(problems)
        self._damaged: frozenset[Location] = frozenset()

    def __bool__(self) -> bool:
        return bool(self._problems)

    def overlook(self, damaged: Iterable[Location]) -> None:
        """Mappings that lost an unknown key: what they then seem to lack is not worth a second problem."""
        self._damaged = frozenset(damaged)

    def did_you_mean(self, word: str, known: Iterable[str]) -> str:
        """To be put behind a detail; empty if nothing is near."""
        hint = nearest(word, islice(known, MOST_CANDIDATES))
        return f"; did you mean {hint}?" if hint else ""

    def add(self, location: Location, code: str, detail: str, *, key: bool = False) -> None:
        if location in self._damaged and code in ("missing", "missing_input", "invalid_value"):
            return
        if len(self._problems) >= MOST_PROBLEMS:
            raise TooManyProblems
        line, column = self._marks.at(location, key=key)
        self._problems.append(problem(location, code, detail, line, column))

    def problems(self) -> list[Problem]:
        """In reading order."""
        return sorted(self._problems, key=lambda each: (each.line or 0, each.column or 0))


def _short(text: str) -> str:
    return truncate(clean_text(text), LONGEST_TEXT)


def problem(location: Location, code: str, detail: str, line: int | None, column: int | None) -> Problem:
    return Problem(
        pointer=_short(pointer(location)),
        code=code,
        detail=_short(detail),
        line=line,
        column=column,
        path=_short(dotted(location)),
    )
