"""Definitions around a snippet, and their problems as one line of text each."""

from pathlib import Path

from domain.definitions.model import Definition
from domain.definitions.reader import read_definition
from domain.errors import Problem
from tests.domain.definitions.catalog import CATALOG

EXAMPLE = (Path(__file__).parent / "order-sync.yaml").read_text(encoding="utf-8")

HEAD = """\
schema: flowgraft/v1
key: sync
name: Sync
config:
  - page: Connect
    fields:
      - {key: shop, type: connection, connection: http/api_key}
      - {key: token, type: string, secret: true}
      - {key: region, type: picklist, options: [eu, us]}
      - {key: nightly, type: schedule}
flows:
"""
STEPS_HEAD = """\
  - key: main
    trigger: {type: webhook}
    steps:
"""


def read(text: str | bytes) -> Definition:
    result = read_definition(text, CATALOG)
    assert result.errors == []
    assert result.definition is not None
    return result.definition


def problems(text: str | bytes) -> list[Problem]:
    return read_definition(text, CATALOG).errors


def shown(found: list[Problem], first_line: int = 1, prefix: str = "") -> list[str]:
    """`line:column code path`, lines counted from `first_line`."""
    return [
        f"{(each.line or 0) - first_line + 1}:{each.column} {each.code} {(each.path or '').removeprefix(prefix)}"
        for each in found
    ]


def in_steps(steps: str) -> list[str]:
    """The problems of a flow's steps; the snippet's first line counts as 1."""
    text = HEAD + STEPS_HEAD + steps
    return shown(problems(text), (HEAD + STEPS_HEAD).count("\n") + 1, "flows[0].")


def in_flow(flow: str) -> list[str]:
    """The problems of a flow's head; each line is a key of the flow."""
    lines = "".join(f"    {line}\n" for line in flow.splitlines())
    return shown(problems(HEAD + "  - key: main\n" + lines + "    steps: []\n"), HEAD.count("\n") + 2, "flows[0].")


def in_fields(*fields: str) -> list[str]:
    head = "schema: flowgraft/v1\nkey: sync\nname: Sync\nflows: [{key: f, trigger: {type: deploy}, steps: []}]\n"
    head += "config:\n  - page: P\n    fields:\n"
    text = head + "".join(f"      - {field}\n" for field in fields)
    return shown(problems(text), head.count("\n") + 1, "config[0].fields")
