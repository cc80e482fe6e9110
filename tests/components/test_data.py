"""The `data` component."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.data import LARGEST
from domain.binding import bind
from domain.errors import StepFailed
from tests.fakes import run_action

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('aä\\"\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aä", max_size=3), inner, max_size=3),
    max_leaves=10,
)
ORDERS = [{"id": 1, "total": 30}, {"id": 2, "total": 5}, {"id": 3, "total": None}, {"id": 4, "total": 12}]


async def failure(key: str, inputs: dict[str, Any], **overrides: Any) -> StepFailed:
    with pytest.raises(StepFailed) as failed:
        await run_action(key, inputs, **overrides)
    return failed.value


async def test_object_gives_its_values() -> None:
    assert await run_action("data.object", {"values": {"a": 1, "b": None}}) == {"a": 1, "b": None}


async def test_pick_keeps_known_keys_in_order() -> None:
    assert list(await run_action("data.pick", {"from": {"a": 1, "b": None, "c": 3}, "keys": ["c", "b", "x"]})) == [
        "c",
        "b",
    ]


async def test_merge_lets_later_ones_win() -> None:
    objects = [{"a": {"x": 1}, "b": 1}, {}, {"a": {"y": 2}}]
    assert await run_action("data.merge", {"objects": objects}) == {"a": {"y": 2}, "b": 1}
    assert objects[0] == {"a": {"x": 1}, "b": 1}


@pytest.mark.parametrize(
    ("key", "inputs", "named"),
    [
        ("data.object", {"values": None}, "values"),
        ("data.pick", {"from": [], "keys": []}, "from"),
        ("data.pick", {"from_": {}, "keys": []}, "from"),
        ("data.merge", {"objects": [{}, None]}, r"objects\.1"),
        ("data.first", {"items": None}, "items"),
        ("data.first", {"items": "abc"}, "items"),
        ("data.sort", {"items": [], "by": "a b"}, "by"),
        ("data.length", {"of": None}, "of"),
        ("data.length", {"of": 12}, "of"),
        ("data.parse_json", {"text": {"a": 1}}, "text"),
        ("data.format_json", {"value": 1, "indent": 9}, "indent"),
    ],
)
async def test_wrong_input_is_named(key: str, inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        await run_action(key, inputs)


# filter and map


async def test_filter_keeps_items_that_hold() -> None:
    when = {"all": [{"exists": "{{ item.total }}"}, {"greater_than": ["{{ item.total }}", "{{ config.min }}"]}]}
    lazy = {"when": bind(when, {"config": {"min": 10}})}
    assert [order["id"] for order in await run_action("data.filter", {"items": ORDERS}, lazy=lazy)] == [1, 4]


async def test_filter_knows_the_index() -> None:
    lazy = {"when": bind({"in": ["{{ index }}", [0, 2]]}, {})}
    assert await run_action("data.filter", {"items": ["a", "b", "c"]}, lazy=lazy) == ["a", "c"]


async def test_filter_fails_on_unlike_types() -> None:
    lazy = {"when": bind({"greater_than": ["{{ item.total }}", 10]}, {})}
    assert (await failure("data.filter", {"items": ORDERS}, lazy=lazy)).code == "condition_error"


async def test_filter_bounds_what_it_compares() -> None:
    lazy = {"when": bind({"equal": ["<{{ item }}>" * 20, "{{ item }}"]}, {})}
    failed = await failure("data.filter", {"items": ["x" * 1024 * 1024]}, lazy=lazy)
    assert (failed.code, failed.permanent) == ("output_too_large", True)


async def test_map_makes_one_value_per_item() -> None:
    to = {"n": "{{ index }}", "order": "{{ item.id }}", "shop": "{{ config.shop }}-{{ item.id }}"}
    lazy = {"to": bind(to, {"config": {"shop": "north"}})}
    assert await run_action("data.map", {"items": ORDERS[:2]}, lazy=lazy) == [
        {"n": 0, "order": 1, "shop": "north-1"},
        {"n": 1, "order": 2, "shop": "north-2"},
    ]


async def test_map_never_reads_data_as_a_template() -> None:
    lazy = {"to": bind("{{ item }}", {})}
    assert await run_action("data.map", {"items": ["{{ item }}", "{{ index }}"]}, lazy=lazy) == [
        "{{ item }}",
        "{{ index }}",
    ]


async def test_map_yields_between_many_items() -> None:
    lazy = {"to": bind("{{ index }}", {})}
    assert await run_action("data.map", {"items": [None] * 1200}, lazy=lazy) == list(range(1200))


@pytest.mark.parametrize(
    "to", ["{{ config.big }}", "<{{ config.big }}>", {"{{ not a template }}": ["{{ config.big }}"]}]
)
async def test_map_refuses_a_result_too_large(to: Any) -> None:
    lazy = {"to": bind(to, {"config": {"big": "x" * (LARGEST // 10)}})}
    failed = await failure("data.map", {"items": [0] * 100}, lazy=lazy)
    assert (failed.code, failed.permanent) == ("output_too_large", True)


# sort


async def test_sort_puts_absent_values_last_either_way() -> None:
    by_total = await run_action("data.sort", {"items": ORDERS, "by": "total"})
    assert [order["id"] for order in by_total] == [2, 4, 1, 3]
    descending = await run_action("data.sort", {"items": ORDERS, "by": "total", "descending": True})
    assert [order["id"] for order in descending] == [1, 4, 2, 3]


async def test_sort_orders_plain_items() -> None:
    assert await run_action("data.sort", {"items": ["b", None, "a"]}) == ["a", "b", None]
    assert await run_action("data.sort", {"items": [2, 1.5, -1]}) == [-1, 1.5, 2]
    assert await run_action("data.sort", {"items": [None, None]}) == [None, None]


@pytest.mark.parametrize(
    ("items", "named"),
    [
        ([None, 1, "1"], r"items\[1\], by number, and items\[2\], by text"),
        ([1, True], "number.*boolean"),
        ([[1], [0]], "by list"),
        ([{}], "by object"),
    ],
)
async def test_sort_names_both_unlike_types(items: list[Any], named: str) -> None:
    failed = await failure("data.sort", {"items": items})
    assert failed.code == "unlike_types"
    assert re.search(named, failed.message)


@given(st.lists(st.tuples(st.none() | st.integers(0, 3), st.integers())), st.booleans())
async def test_sort_is_stable(pairs: list[tuple[int | None, int]], descending: bool) -> None:
    items = [{"key": key, "place": place} for place, (key, _) in enumerate(pairs)]
    result = await run_action("data.sort", {"items": items, "by": "key", "descending": descending})
    sign = -1 if descending else 1

    def rank(item: dict[str, Any]) -> tuple[bool, int, int]:
        return item["key"] is None, sign * (item["key"] or 0), item["place"]

    assert result == sorted(items, key=rank)


# Lists and JSON


@pytest.mark.parametrize(("items", "first", "last"), [([], None, None), ([1], 1, 1), ([None, 2], None, 2)])
async def test_first_and_last(items: list[Any], first: Any, last: Any) -> None:
    assert await run_action("data.first", {"items": items}) == first
    assert await run_action("data.last", {"items": items}) == last


@pytest.mark.parametrize(("of", "length"), [([], 0), ([1, 2], 2), ({"a": 1}, 1), ("grüß", 4)])
async def test_length_of_lists_objects_and_text(of: Any, length: int) -> None:
    assert await run_action("data.length", {"of": of}) == length


async def test_flatten_opens_one_level() -> None:
    assert await run_action("data.flatten", {"items": [1, [2, [3]], [], "ab", None]}) == [1, 2, [3], "ab", None]


async def test_flatten_is_bounded() -> None:
    inner = [0] * 60_000
    assert (await failure("data.flatten", {"items": [inner, inner]})).code == "too_many_items"


@pytest.mark.parametrize(("text", "position"), [("{", 1), ("[1,]", 3), ("", 0)])
async def test_parse_json_says_where_it_failed(text: str, position: int) -> None:
    failed = await failure("data.parse_json", {"text": text})
    assert failed.code == "invalid_json"
    assert failed.details == {"position": position}


async def test_parse_json_is_strict() -> None:
    failed = await failure("data.parse_json", {"text": '{"a": 1, "a": 2}'})
    assert (failed.code, failed.details) == ("invalid_json", None)
    assert "duplicate key" in failed.message


@given(JSON, st.integers(0, 8))
async def test_format_and_parse_json_round_trip(value: Any, indent: int) -> None:
    text = await run_action("data.format_json", {"value": value, "indent": indent})
    assert await run_action("data.parse_json", {"text": text}) == value


@pytest.mark.parametrize(
    ("indent", "write"),
    [(0, lambda value: json.dumps(value, separators=(",", ":"))), (2, lambda value: json.dumps(value, indent=2))],
)
async def test_format_json_indents(indent: int, write: Callable[[Any], str]) -> None:
    value = {"a": [1, {"b": None}]}
    assert await run_action("data.format_json", {"value": value, "indent": indent}) == write(value)
