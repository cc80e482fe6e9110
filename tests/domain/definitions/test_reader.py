import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.definitions.model import ScheduleTrigger, WebhookTrigger
from domain.definitions.reader import read_definition
from domain.definitions.yamltree import read_tree
from tests.domain.definitions.catalog import CATALOG
from tests.domain.definitions.snippets import EXAMPLE, problems, read, shown


def test_example_is_read() -> None:
    definition = read(EXAMPLE)
    assert definition.key == "order-sync"
    assert [field.key for field in definition.fields().values()] == [
        "shop",
        "endpoint",
        "region",
        "big_order",
        "nightly",
    ]
    first, second = definition.flows
    assert isinstance(first.trigger, WebhookTrigger)
    assert first.trigger.methods == ["POST"]
    assert isinstance(second.trigger, ScheduleTrigger)
    assert second.trigger.from_ == "nightly"
    assert [step.key for step in first.all_steps()] == ["order", "size", "say", "lines", "ship", "answer"]
    assert [step.kind for step in first.steps] == ["action", "branch", "loop", "stop"]
    assert definition.flow("nightly") is second


def test_example_as_json_is_the_same() -> None:
    value = read_tree(EXAMPLE).value
    assert read(json.dumps(value, indent="\t")) == read(EXAMPLE)
    assert read(json.dumps(value).encode()) == read(EXAMPLE)


def test_problem_has_all_its_parts() -> None:
    (found,) = problems(EXAMPLE.replace("action: http.post", "action: http.put"))
    assert found.pointer == "#/flows/0/steps/2/steps/0/action"
    assert found.path == "flows[0].steps[2].steps[0].action"
    assert (found.code, found.line, found.column) == ("unknown_action", 47, 21)
    assert found.detail == "the component http has no action put; did you mean http.post?"


def test_yaml_problems_end_the_reading() -> None:
    assert shown(problems("schema: *x")) == ["1:9 yaml_alias schema"]


def test_problems_of_all_layers_come_together() -> None:
    text = EXAMPLE.replace("name: Order sync", "name: Order sync\nname: Twice").replace(
        "{{ customer.name }}", "{{ steps.x }}"
    )
    assert [each.code for each in problems(text)] == ["duplicate_key", "unknown_step"]


def test_hostile_size_is_read_in_time() -> None:
    steps = "".join(
        f"      - {{key: s{number}, stop: {{body: '{{{{ steps.s{number} }}}}'}}}}\n" for number in range(15_000)
    )
    text = (
        "schema: flowgraft/v1\nkey: a\nname: A\nflows:\n  - key: f\n    trigger: {type: deploy}\n    steps:\n" + steps
    )
    assert len(problems(text)) == 100


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        "{{ steps.order }}",
        "{{",
        "{{ config.shop.token }}",
        "http.get",
        [],
        {},
        [[]],
        {"equal": []},
        None,
        True,
        -1,
        "0s",
        "",
        "x",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.text() | st.binary())
def test_reader_never_raises_on_text(text: str | bytes) -> None:
    assert read_definition(text, CATALOG).errors


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_reader_never_raises_on_structures(value: Any) -> None:
    assert read_definition(json.dumps(value), CATALOG).errors


def positions(value: Any) -> list[tuple[Any, Any]]:
    """Every slot of a nested value: its container and its key or index."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in [(value, key), *positions(item)]]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_reader_never_raises_on_a_changed_example(data: st.DataObject) -> None:
    value = read_tree(EXAMPLE).value
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(positions(value)))
        change = data.draw(st.sampled_from(["replace", "remove", "rename"]))
        if change == "replace":
            container[key] = deepcopy(data.draw(ODD | JSON))  # what is drawn is shared, and later changes go into it
        elif change == "remove":
            del container[key]
        elif isinstance(container, dict):
            container[data.draw(st.text(max_size=6))] = container.pop(key)
        if not positions(value):
            return
    result = read_definition(json.dumps(value), CATALOG)
    assert (result.definition is None) == bool(result.errors)
    assert all(each.line and each.column and each.detail for each in result.errors)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 12), st.text(alphabet="[]{}:,-&*!|'\"#ab \n{", max_size=3))
def test_reader_never_raises_on_broken_text(start: int, length: int, inserted: str) -> None:
    result = read_definition(EXAMPLE[:start] + inserted + EXAMPLE[start + length :], CATALOG)
    assert (result.definition is None) == bool(result.errors)


@pytest.mark.parametrize("line", range(len(EXAMPLE.splitlines())))
def test_reader_never_raises_without_one_line(line: int) -> None:
    lines = EXAMPLE.splitlines(keepends=True)
    result = read_definition("".join(lines[:line] + lines[line + 1 :]), CATALOG)
    assert (result.definition is None) == bool(result.errors)
