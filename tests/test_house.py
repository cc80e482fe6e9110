"""Rules of the house that no linter knows: sizes, signs on doors, who reads the environment, what no file may hold."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("api", "cli", "workflows", "activities", "components", "store", "runtime", "domain")
MIGRATIONS = ("store", "migrations")

LONGEST_FILE, MEDIAN_FILE = 500, 110
LONGEST_FUNCTION, MEDIAN_FUNCTION = 60, 9

# Who may read the environment, and why: settings; the parent of our own processes, which hands it on to them.
READS_THE_ENVIRONMENT = {"runtime/settings.py", "cli/dev.py"}
READS_TEMPORALS_ENVIRONMENT = {"runtime/temporal.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef

_REGISTRY = re.compile(r"\b(pypi|pythonhosted|npmjs|crates|rubygems|jsdelivr|unpkg)\.(org|com|io|net)\b", re.IGNORECASE)
_OWN_DIRECTORY = re.compile(r"(?<![\w.~}-])/(home|root|Users|work|workspace)/\w")


@cache
def repository_files() -> list[Path]:
    """Relative to the root: what is tracked, and what is new and not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = sorted(name for name in listing.stdout.decode().split("\0") if name)
    return [Path(name) for name in names if (ROOT / name).is_file()]


def python_files() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".py"]


def product_files() -> list[Path]:
    return [path for path in python_files() if path.parts[0] in ROOMS or path.name == "worker.py"]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def lines_of(path: Path) -> int:
    return len((ROOT / path).read_text(encoding="utf-8").splitlines())


def functions_of(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, Function))


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def is_migration(path: Path) -> bool:
    return path.parts[:2] == MIGRATIONS


def modules_imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def attributes_of(path: Path) -> set[str]:
    """Every `name.attribute` in a file."""
    return {ast.unparse(node) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}


def reads_environment(path: Path) -> bool:
    names = {"os.environ", "os.environb", "os.getenv"}
    return bool(names & (attributes_of(path) | modules_imported(path)))


# Sizes


def test_no_file_is_longer_than_a_reader_bears() -> None:
    long = {str(path): lines_of(path) for path in python_files() if lines_of(path) > LONGEST_FILE}
    assert long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{path}:{function.lineno} {function.name}": length(function)
        for path in python_files()
        if not is_migration(path)
        for function in functions_of(path)
        if length(function) > LONGEST_FUNCTION
    }
    assert long == {}


def test_files_and_functions_are_small_in_the_median() -> None:
    files = [path for path in product_files() if not is_migration(path) and path.name != "__init__.py"]
    assert median(map(lines_of, files)) <= MEDIAN_FILE
    assert median(length(function) for path in files for function in functions_of(path)) <= MEDIAN_FUNCTION


# Doors


def test_every_module_says_what_lives_there() -> None:
    silent = [str(path) for path in python_files() if path.parts[0] != "tests" and not ast.get_docstring(tree_of(path))]
    assert silent == []


def test_imports_stand_at_the_top() -> None:
    hidden = [
        f"{path}:{node.lineno} in {function.name}"
        for path in product_files()
        for function in functions_of(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


def test_no_room_imports_the_worker() -> None:
    """`python -m worker` is its only way in; tests may look at what it registers."""
    importers = [str(path) for path in product_files() if any(_is_worker(name) for name in modules_imported(path))]
    assert importers == []


def _is_worker(module: str) -> bool:
    return module == "worker" or module.startswith("worker.")


def test_settings_alone_read_the_environment() -> None:
    readers = {str(path) for path in product_files() if reads_environment(path)}
    assert readers == READS_THE_ENVIRONMENT


def test_one_file_alone_lets_temporal_read_the_environment() -> None:
    readers = {str(path) for path in product_files() if "temporalio.envconfig" in modules_imported(path)}
    assert readers == READS_TEMPORALS_ENVIRONMENT


# Tests


def test_tests_replace_nothing_behind_its_back() -> None:
    patching = {
        str(path)
        for path in python_files()
        if any(name.split(".")[-1] == "mock" for name in modules_imported(path))
        or any(name.startswith("monkeypatch.set") and name.endswith("attr") for name in attributes_of(path))
    }
    assert patching == set()


def test_test_files_mirror_the_rooms() -> None:
    """A folder of tests is a room's, or one of the few that belong to none."""
    others = {"fixtures", "replay", "e2e", "deploy"}
    folders = {path.parts[1] for path in python_files() if path.parts[0] == "tests" and len(path.parts) > 2}
    assert folders <= {*ROOMS, *others}


# What no file may hold


def texts() -> Iterator[tuple[Path, str]]:
    for path in repository_files():
        data = (ROOT / path).read_bytes()
        if b"\0" not in data:
            yield path, data.decode("utf-8")


def test_no_file_names_a_directory_of_somebodys_machine() -> None:
    found = {str(path): match[0] for path, text in texts() if (match := _OWN_DIRECTORY.search(text))}
    assert found == {}


def test_no_file_names_a_package_registry() -> None:
    found = {str(path): match[0] for path, text in texts() if (match := _REGISTRY.search(text))}
    assert found == {}


@pytest.mark.parametrize("path", ["home/jo/flowgraft", "work/x", "Users/jo/x", "root/x"])
def test_own_directories_are_recognised(path: str) -> None:
    assert _OWN_DIRECTORY.search(f"see /{path}.")
    assert not _OWN_DIRECTORY.search(f"https://example.com/{path}")
