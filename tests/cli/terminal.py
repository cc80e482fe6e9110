"""The command line as somebody at a terminal has it."""

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import count
from typing import Any

from typer.main import get_command

from cli.main import app

Json = dict[str, Any]

# What a developer's own shell may hold.
UNSET = dict.fromkeys(
    (
        "FLOWGRAFT_PROFILE",
        "FLOWGRAFT_URL",
        "FLOWGRAFT_API_KEY",
        "FLOWGRAFT_DATABASE_URL",
        "FLOWGRAFT_DATABASE_URL_FILE",
        "FLOWGRAFT_ENCRYPTION_KEYS",
        "FLOWGRAFT_TEMPORAL_ADDRESS",
        "FLOWGRAFT_TASK_QUEUE",
    )
)

DEFINITION = """\
schema: flowgraft/v1
key: KEY
name: Shop KEY
config:
  - page: Connect
    fields:
      - {key: service, type: connection, connection: http/bearer}
      - {key: greeting, type: string, default: Hello}
      - {key: limit, type: number, default: 10}
      - {key: pin, type: string, secret: true, default: none}
flows:
  - key: greet
    name: Greet
    trigger: {type: webhook}
    steps:
      - {key: say, name: Say it, action: log.write, inputs: {message: "{{ config.greeting }} {{ trigger.body.id }}"}}
      - {key: seen, name: Count it, action: state.increment, inputs: {key: seen}}
  - key: refuse
    name: Refuse
    trigger: {type: webhook}
    steps:
      - {key: say, action: log.write, inputs: {message: Refusing, level: warn}}
      - {key: end, stop: {fail: Refused by the shop}}
  - key: dawdle
    name: Dawdle
    trigger: {type: webhook}
    steps:
      - {key: nap, sleep: 10m}
"""

COMMAND: Any = get_command(app)  # built once: typer's own runner builds all commands for every call

_numbers = count(1)


def fresh(stem: str) -> str:
    """A name that nothing else on this product has, and that is no part of another."""
    return f"{stem}-{next(_numbers):03}"


@dataclass(frozen=True)
class Shop:
    name: str
    customer: Json
    integration: Json
    version: Json
    instance: Json
    flows: dict[str, Json]

    @property
    def id(self) -> str:
        return str(self.instance["id"])

    def flow(self, key: str) -> str:
        return str(self.flows[key]["id"])


@dataclass(frozen=True)
class Printed:
    stdout_bytes: bytes
    stderr_bytes: bytes

    @property
    def stdout(self) -> str:
        return self.stdout_bytes.decode()

    @property
    def stderr(self) -> str:
        return self.stderr_bytes.decode()

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


class Cli:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    def with_environment(self, **more: str) -> "Cli":
        return Cli({**self.environment, **more})

    def __call__(self, *words: str, code: int = 0, input: str | None = None) -> Printed:
        """Fails the test with all that was printed when the exit code is another."""
        out, err = _stream(), _stream()
        with (
            _environment({**UNSET, **self.environment}),
            _stdin(input or ""),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            ended = _exit_code(words)
        printed = Printed(_bytes(out), _bytes(err))
        assert ended == code, f"{words} ended with {ended}: {printed.output}"
        return printed

    def json(self, *words: str, code: int = 0, input: str | None = None) -> Any:
        return json.loads(self(*words, "-o", "json", code=code, input=input).stdout)

    def rows(self, *words: str) -> list[list[str]]:
        """The words of each line of a table, its header first."""
        return [line.split() for line in self(*words).stdout.splitlines()]

    def executed(self, flow_id: str, *words: str, code: int = 0) -> Json:
        """A test of a flow that has come to its end."""
        execution: Json = self.json("flows", "test", flow_id, "--wait", "--timeout", "30", *words, code=code)
        return execution


def _exit_code(words: Sequence[str]) -> object:
    try:
        COMMAND.main(list(words), prog_name="flowgraft")
    except SystemExit as ended:
        return ended.code
    return None


@contextmanager
def _environment(wanted: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    _put(wanted)
    try:
        yield
    finally:
        _put(before)


def _put(wanted: Mapping[str, str | None]) -> None:
    for name, value in wanted.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextmanager
def _stdin(text: str) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    try:
        yield
    finally:
        sys.stdin = before


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")


def _bytes(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue()
