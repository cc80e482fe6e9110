"""No command without a test that gives it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli.entry import OF_THIS_MACHINE
from cli.main import app
from tests.cli.terminal import Cli, Shop

ROOT: Any = get_command(app)
HERE = Path(__file__).parent
SERVING = {"dev", "api", "worker", "db upgrade"}  # these start the product, in tests/e2e among others


def commands(group: Any = ROOT, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        inside = hasattr(command, "commands")
        yield from commands(command, (*words, name)) if inside else [(*words, name)]


@pytest.mark.parametrize("words", [words for words in commands() if " ".join(words) not in SERVING], ids=" ".join)
def test_command_has_a_test(words: tuple[str, ...]) -> None:
    given = re.compile(r"[(\[]\s*" + r",\s*".join(f'"{word}"' for word in words))
    texts = [path.read_text() for path in HERE.glob("*.py")]
    assert any(given.search(text) for text in texts)


def test_every_command_explains_itself() -> None:
    silent = []
    for words in commands():
        command = ROOT
        for word in words:
            command = command.commands[word]
        if not command.help:
            silent.append(words)
    assert silent == []


def test_only_what_is_about_this_machine_imports_the_server() -> None:
    assert {"temporalio", "sqlalchemy", "fastapi", "uvicorn"} & told(
        "import sys, cli.nouns; print(*sys.modules)"
    ) == set()
    light = told("import cli.nouns, typer.main; print(*typer.main.get_command(cli.nouns.app).commands)")
    assert set(ROOT.commands) - light == OF_THIS_MACHINE


def told(code: str) -> set[str]:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return set(done.stdout.split())


def test_process_prints_data_and_talk_apart(cli: Cli, shop: Shop) -> None:
    words = ["instances:list", "--limit", "1", "--output", "json", "--print-requests"]
    ended = subprocess.run(command_line(*words), env=environment(cli), capture_output=True, timeout=30, check=True)
    assert len(json.loads(ended.stdout)) == 1
    assert ended.stderr.startswith(b"> GET ")


def test_process_that_follows_ends_on_ctrl_c(cli: Cli, shop: Shop) -> None:
    cli.executed(shop.flow("greet"))
    words = ["logs", "search", "hello", "--follow", "--no-header"]
    command, heard = command_line(*words), partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    # Who runs the tests in the background may have it ignored, in all that they start.
    with subprocess.Popen(command, env=environment(cli), stdout=subprocess.PIPE, preexec_fn=heard) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        finally:
            process.kill()


def command_line(*words: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", *words]


def environment(cli: Cli) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **cli.environment}
