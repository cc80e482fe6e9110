"""What a diff says of two definitions."""

from dataclasses import asdict
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.definitions.diff import HIDDEN, ChangedFlow, DefinitionDiff, FieldChange, diff
from domain.definitions.model import Definition

Json = dict[str, Any]

SAY = {"key": "say", "action": "log.write", "inputs": {"message": "hi"}}
SHIP = {"key": "ship", "action": "http.post", "inputs": {"url": "https://a", "json": {"sku": 1}}}
LINES = {"key": "lines", "loop": {"over": "{{ trigger.body.lines }}"}, "steps": [SHIP]}
BIG = {"name": "Big", "when": {"greater_than": ["{{ trigger.body.total }}", 10]}, "steps": [SAY]}
SIZE = {"key": "size", "branch": [BIG, {"name": "Else", "else": True, "steps": []}]}
RETRY = {"retries": 3, "delay": "60s", "backoff": "fixed", "max_delay": "24h", "on": "any"}
REGION = {"key": "region", "type": "picklist", "options": ["eu", "us"], "default": "eu"}


def flow(key: str = "order", *steps: Json, **more: Any) -> Json:
    return {"key": key, "trigger": {"type": "webhook"}, "steps": list(steps)} | more


def definition(*flows: Json, fields: list[Json] | None = None, **more: Any) -> Definition:
    pages = [{"page": "Options", "fields": fields}] if fields is not None else []
    made = {"schema": "flowgraft/v1", "key": "sync", "name": "Sync", "config": pages, "flows": list(flows or (flow(),))}
    return Definition.model_validate(made | more)


def of_steps(before: list[Json], after: list[Json]) -> Any:
    found = diff(definition(flow("order", *before)), definition(flow("order", *after)))
    return found.flows.changed[0].steps if found.flows.changed else None


def changes(found: list[FieldChange]) -> dict[str, tuple[Any, Any]]:
    return {each.path: (each.before, each.after) for each in found}


def the_flow(found: DefinitionDiff) -> ChangedFlow:
    [changed] = found.flows.changed
    return changed


def test_the_same_is_identical() -> None:
    one = definition(flow("order", SIZE, LINES), fields=[REGION])
    assert diff(one, one).identical


def test_a_first_version_is_all_new() -> None:
    found = diff(None, definition(flow("order", SAY), fields=[REGION]))
    assert [part.key for part in found.flows.added] == ["order"]
    assert [(part.key, part.kind, part.place) for part in found.config.added] == [("region", "picklist", "Options")]
    assert [part.key for part in found.pages.added] == ["Options"]
    assert (found.fields, found.identical) == ([], False)


def test_what_the_integration_itself_says() -> None:
    found = diff(definition(labels=["erp"]), definition(name="Better", labels=["erp", "new"]))
    assert changes(found.fields) == {"name": ("Sync", "Better"), "labels": (["erp"], ["erp", "new"])}


def test_flows_follow_their_keys_not_their_names() -> None:
    before = definition(flow("order", name="Order"), flow("gone"))
    found = diff(before, definition(flow("order", name="Orders"), flow("fresh", trigger={"type": "deploy"})))
    assert [(part.key, part.kind) for part in found.flows.added] == [("fresh", "deploy")]
    assert [part.key for part in found.flows.removed] == ["gone"]
    assert changes(the_flow(found).fields) == {"name": ("Order", "Orders")}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"timeout": "15m"}, {"timeout": "30m"}, {"timeout": ("15m", "30m")}),
        ({}, {"retry": {"retries": 3}}, {"retry": (None, RETRY)}),
        ({"retry": {"retries": 3}}, {"retry": {"retries": 4}}, {"retry.retries": (3, 4)}),
        (
            {"trigger": {"type": "schedule", "cron": "0 3 * * *"}},
            {"trigger": {"type": "schedule", "cron": "0 4 * * *"}},
            {"trigger.cron": ("0 3 * * *", "0 4 * * *")},
        ),
    ],
)
def test_flow_changes_field_by_field(before: Json, after: Json, expected: Json) -> None:
    found = diff(definition(flow("order", **before)), definition(flow("order", **after)))
    assert changes(the_flow(found).fields) == expected


def test_another_trigger_is_told_in_full() -> None:
    found = diff(definition(flow()), definition(flow(trigger={"type": "deploy"})))
    told = changes(the_flow(found).fields)
    assert told["trigger.type"] == ("webhook", "deploy")
    assert told["trigger.respond"] == ("async", None)


def test_steps_added_removed_and_changed() -> None:
    steps = of_steps([SAY, LINES], [SAY | {"inputs": {"message": "bye"}}, SIZE | {"branch": [BIG | {"steps": []}]}])
    assert [(part.key, part.kind, part.place) for part in steps.added] == [("size", "branch", "size")]
    assert [(part.key, part.place) for part in steps.removed] == [("lines", "lines"), ("ship", "lines.ship")]
    [said] = steps.changed
    assert (said.key, changes(said.fields)) == ("say", {"inputs.message": ("hi", "bye")})


def test_nested_steps_are_found_where_they_are() -> None:
    steps = of_steps([LINES], [LINES | {"steps": [SHIP | {"timeout": "5s"}]}])
    [shipped] = steps.changed
    assert (shipped.place, changes(shipped.fields)) == ("lines.ship", {"timeout": (None, "5s")})


def test_step_that_moved_into_a_branch() -> None:
    steps = of_steps([SAY, SIZE | {"branch": [BIG | {"steps": []}]}], [SIZE | {"branch": [BIG]}])
    [said] = steps.changed
    assert (said.place, changes(said.fields)) == ("size[Big].say", {"inside": (None, "size[Big]")})


def test_condition_of_a_case() -> None:
    other = BIG | {"when": {"greater_than": ["{{ trigger.body.total }}", 20]}}
    [size] = of_steps([SIZE], [SIZE | {"branch": [other, SIZE["branch"][1]]}]).changed
    assert list(changes(size.fields)) == ["branch.when.Big.greater_than"]


def test_order_of_cases_counts() -> None:
    small = BIG | {"name": "Small", "steps": []}
    [size] = of_steps([SIZE | {"branch": [BIG, small]}], [SIZE | {"branch": [small, BIG]}]).changed
    assert changes(size.fields) == {"branch.cases": (["Big", "Small"], ["Small", "Big"])}


@pytest.mark.parametrize("order", list(permutations("abcd")), ids="".join)
def test_moves_are_told_by_the_steps_that_moved(order: tuple[str, ...]) -> None:
    found = of_steps([{"key": key, "sleep": "1s"} for key in "abcd"], [{"key": key, "sleep": "1s"} for key in order])
    moved = {each.key for each in found.changed} if found else set()
    stayed = [key for key in order if key not in moved]
    assert stayed == sorted(stayed)
    assert bool(moved) == (list(order) != sorted(order))


def test_an_inserted_step_moves_no_other() -> None:
    steps = of_steps([{"key": key, "sleep": "1s"} for key in "ac"], [{"key": key, "sleep": "1s"} for key in "abc"])
    assert ([part.key for part in steps.added], steps.changed) == (["b"], [])


def test_config_fields_follow_their_keys() -> None:
    before = definition(fields=[REGION, {"key": "shop", "type": "string"}])
    after = definition(fields=[REGION | {"options": ["eu"], "label": "Where"}, {"key": "big", "type": "number"}])
    found = diff(before, after).config
    assert [(part.key, part.kind) for part in found.added] == [("big", "number")]
    assert [part.key for part in found.removed] == ["shop"]
    [region] = found.changed
    assert changes(region.fields) == {"label": (None, "Where"), "options": (["eu", "us"], ["eu"])}


def test_field_that_moved_to_another_page() -> None:
    pages = [{"page": "A", "fields": [REGION]}, {"page": "B", "fields": []}]
    other = [{"page": "A", "fields": []}, {"page": "B", "tagline": "Then", "fields": [REGION]}]
    found = diff(definition(config=pages), definition(config=other))
    assert changes(found.config.changed[0].fields) == {"inside": ("A", "B")}
    assert [(each.key, changes(each.fields)) for each in found.pages.changed] == [("B", {"tagline": (None, "Then")})]


def test_pages_of_one_name_are_told_apart() -> None:
    twice = [{"page": "A", "fields": [REGION]}, {"page": "A", "tagline": "Again", "fields": []}]
    found = diff(definition(config=twice[:1]), definition(config=twice))
    assert [part.key for part in found.pages.added] == ["A (2)"]


@pytest.mark.parametrize(
    "secret", [{"type": "string", "secret": True}, {"type": "connection", "connection": "http/bearer"}]
)
def test_secret_defaults_are_told_to_have_changed_no_more(secret: Json) -> None:
    before, after = (
        definition(fields=[{"key": "pin", "default": value} | secret]) for value in ("s3cret-1", "s3cret-2")
    )
    found = diff(before, after)
    assert changes(found.config.changed[0].fields) == {"default": (HIDDEN, HIDDEN)}
    assert "s3cret" not in str(asdict(found))


def test_values_are_compared_as_json() -> None:
    found = diff(definition(fields=[REGION | {"default": 1}]), definition(fields=[REGION | {"default": True}]))
    assert changes(found.config.changed[0].fields) == {"default": (1, True)}


VALUES = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["a", "b"])
JSONS = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner))
STEPS = st.lists(
    st.fixed_dictionaries({"key": st.sampled_from("abc"), "inputs": st.dictionaries(st.sampled_from("xy"), JSONS)}),
    max_size=3,
    unique_by=lambda step: str(step["key"]),
)
DEFINITIONS = st.builds(
    lambda flows, fields: definition(*(flow(key, *steps) for key, steps in flows), fields=fields),
    st.lists(st.tuples(st.sampled_from("fgh"), STEPS), min_size=1, max_size=3, unique_by=lambda pair: pair[0]),
    st.lists(
        st.fixed_dictionaries({"key": st.sampled_from("pqr"), "type": st.just("string"), "default": VALUES}),
        max_size=3,
        unique_by=lambda each: each["key"],
    ),
)


@given(DEFINITIONS, DEFINITIONS)
def test_nothing_that_differs_goes_unsaid(one: Definition, other: Definition) -> None:
    same = one.model_dump_json() == other.model_dump_json()
    assert diff(one, other).identical == same
    assert diff(other, one).identical == same
