"""Reads an integration definition, `flowgraft/v1`, with everything that is wrong with it and where."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from domain.catalog import Catalog
from domain.definitions.checks import check_definition
from domain.definitions.model import Definition
from domain.definitions.places import Report, TooManyProblems
from domain.definitions.structure import read_structure
from domain.definitions.yamltree import read_tree
from domain.errors import Problem


@dataclass(frozen=True)
class ReadResult:
    """`definition` is None as soon as there is an error."""

    definition: Definition | None
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def read_definition(text: str | bytes, catalog: Catalog) -> ReadResult:
    """Never raises, whatever the text. `catalog` says which actions exist and what they take."""
    tree = read_tree(text)
    if not tree.complete:
        return ReadResult(None, tree.problems)
    report = Report(tree.marks, tree.problems)
    definition = None
    with suppress(TooManyProblems):
        definition = _read(tree.value, catalog, report)
    return ReadResult(None if report else definition, report.problems())


def _read(value: Any, catalog: Catalog, report: Report) -> Definition | None:
    if isinstance(value, dict) and "definitionVersion" in value:
        detail = "Prismatic's definitionVersion is not read yet: begin with schema: flowgraft/v1"
        report.add(("definitionVersion",), "not_supported_yet", detail, key=True)
        return None
    definition = read_structure(value, report)
    if definition is not None:
        check_definition(definition, catalog, report)
    return definition
