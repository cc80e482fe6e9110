"""What the documentation says is so: examples are valid, links lead somewhere, tables are current."""

import ast
import re
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from components.base import Component
from components.catalogue import builtin_registry
from docs.actions import with_table
from domain.connections import KINDS
from domain.definitions.model import Step
from domain.definitions.reader import read_definition
from domain.errors import Problem
from runtime import metrics
from runtime.settings import FROM_FILE, PREFIX, Settings

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"`([a-z_]+(?:/[a-z0-9_<>]+)*/[a-z0-9_]+\.(?:py|yaml|json|in|txt))`")
_FUNCTION = re.compile(r"`([a-z_/]+\.py)` `([a-z_]+)`(?:, `([a-z_]+)`)?")
_ROW = re.compile(r"^\| `([^`]+)`", re.MULTILINE)


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def text_of(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    return [text for found, text in _FENCE.findall(text_of(path)) if found == language]


def definitions() -> Iterator[tuple[Path, str]]:
    """Blocks of YAML that are a definition from beginning to end."""
    for path in DOCUMENTS:
        yield from ((path, text) for text in blocks(path, "yaml") if text.startswith("schema:"))


def mistakes(text: str) -> list[Problem]:
    result = read_definition(text, builtin_registry().catalog())
    return [*result.errors, *result.warnings]


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text_of(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(path: str, heading: str) -> str:
    return text_of(path).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


# Definitions


@pytest.mark.parametrize("path", EXAMPLES, ids=names(EXAMPLES))
def test_example_is_read_without_a_mistake(path: Path) -> None:
    assert mistakes(text_of(path)) == []


def test_definitions_in_documents_are_valid() -> None:
    found = list(definitions())
    assert {path.name for path, _ in found} >= {"README.md", "definition.md"}
    assert {path.name: mistakes(text) for path, text in found if mistakes(text)} == {}


def test_table_of_actions_is_current() -> None:
    assert text_of("docs/definition.md") == with_table(text_of("docs/definition.md")), "run python -m docs.actions"


def test_every_action_is_in_the_table() -> None:
    assert set(builtin_registry().catalog()) <= set(_ROW.findall(section("docs/definition.md", "Actions")))


def test_kinds_of_connections_are_in_the_table() -> None:
    rows = _ROW.findall(section("docs/definition.md", "Configuration fields"))
    assert [row for row in rows if row.startswith("http/")] == list(KINDS)


@pytest.mark.parametrize(
    ("where", "changed"),
    [
        ("sleep: 1s", "action: http.post, inputs: {url: https://a.example, multipart: {}}"),
        ("schema: flowgraft/v1", "definitionVersion: 7"),
    ],
)
def test_what_the_documents_call_not_built_is_refused_as_such(where: str, changed: str) -> None:
    """The rows of `docs/definition.md`, Not built yet. What gets built moves from there to its own place."""
    base = (
        "schema: flowgraft/v1\nkey: a\nname: A\nconfig: [{page: P, fields: [{key: f, type: string}]}]\n"
        "flows:\n  - {key: a, trigger: {type: webhook}, timeout: 1m, steps: [{key: s, sleep: 1s}]}\n"
    )
    assert mistakes(base) == []
    assert {problem.code for problem in mistakes(base.replace(where, changed))} == {"not_supported_yet"}


def test_every_kind_of_step_is_described() -> None:
    described = text_of("docs/definition.md")
    optional = {"key", "name", "connection", "inputs", "on_error", "timeout", "steps"}
    kinds = {info.alias or name for name, info in Step.model_fields.items()} - optional
    assert {kind for kind in kinds if f"`{kind}:" not in described and f"`{kind}`" not in described} == set()


# Operations


def test_settings_table_names_every_setting() -> None:
    rows = _ROW.findall(section("docs/operations.md", "Settings"))
    assert sorted(rows) == sorted(PREFIX + name.upper() for name in Settings.model_fields)


def test_settings_table_marks_what_may_be_a_file() -> None:
    marked = re.findall(r"^\| `([^`]+)` ●", section("docs/operations.md", "Settings"), re.MULTILINE)
    assert sorted(marked) == sorted(PREFIX + name.upper() for name in FROM_FILE)


def test_metrics_table_names_every_metric() -> None:
    declared = [
        next(iter(value.describe()))
        for value in vars(metrics).values()
        if isinstance(value, Counter | Gauge | Histogram)
    ]
    named = [f"{family.name}_total" if family.type == "counter" else family.name for family in declared]
    rows = _ROW.findall(section("docs/operations.md", "Metrics"))
    assert sorted(rows) == sorted(named)


# Components


def test_the_example_component_is_one() -> None:
    module = types.ModuleType("vault")
    exec(compile(blocks(ROOT / "docs/components.md", "python")[0], "vault.py", "exec"), module.__dict__)
    assert isinstance(module.component, Component)


# Links and names


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCE.sub("", text_of(path))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_files_that_are_named_exist(path: Path) -> None:
    files = [name for name in _FILE.findall(text_of(path)) if "<" not in name and "vault" not in name]
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_functions_that_the_architecture_names_exist() -> None:
    named = [
        (file, name) for file, *functions in _FUNCTION.findall(text_of("docs/architecture.md")) for name in functions
    ]
    assert len(named) > 20
    missing = [f"{file} {name}" for file, name in named if name and name not in defined_in(file)]
    assert missing == []


def defined_in(file: str) -> set[str]:
    tree = ast.parse(text_of(file))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_decisions_are_numbered_and_of_one_form() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04d}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        found = re.findall(r"^\*\*(\w+)\.\*\*", text_of(path), re.MULTILINE)
        assert found == ["Context", "Decision", "Consequences", "Alternatives"], path.name
        assert text_of(path).startswith(f"# {path.name[:4]} ")
