"""Lazy inputs: looked up once in the workflow, evaluated once per item, data never read as a template."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.binding import bind, evaluate_bound, holds_bound
from domain.errors import StepFailed
from domain.jsontext import dumps, strict_loads
from domain.values import EvaluationTooLarge, evaluate

ROOTS = {
    "steps": {"order": {"body": {"rate": 2, "note": "{{ item.secret }}"}}},
    "trigger": {"headers": {"x-shop": "north"}},
    "config": {"minimum": 10},
}


def test_bind_keeps_each_path_under_its_text() -> None:
    template = {
        "rate": "{{ steps.order.body.rate }}",
        "all": ["{{item.sku}}", '{{ config["minimum"] }} of {{ index }}'],
    }
    assert bind(template, ROOTS) == {
        "template": template,
        "bindings": {"steps.order.body.rate": 2, 'config["minimum"]': 10},
    }


def test_bind_keeps_what_is_absent_as_null() -> None:
    assert bind("{{ steps.gone.away }}", ROOTS)["bindings"] == {"steps.gone.away": None}


def test_bind_regards_headers_without_case() -> None:
    assert evaluate_bound(bind("{{ trigger.headers.X-Shop }}", ROOTS), {}) == "north"


def test_bind_leaves_other_free_roots_alone() -> None:
    bound = bind("{{ row.id }}{{ item.id }}", {"item": {"id": 7}}, frozenset({"row"}))
    assert evaluate_bound(bound, {"row": {"id": 1}}) == "17"


def test_evaluate_bound_uses_item_and_bindings() -> None:
    bound = bind({"sku": "{{ item.sku }}", "line": "{{ index }}", "rate": "{{ steps.order.body.rate }}"}, ROOTS)
    assert evaluate_bound(bound, {"item": {"sku": "A"}, "index": 3}) == {"sku": "A", "line": 3, "rate": 2}


def test_bound_data_is_never_evaluated() -> None:
    bound = bind(["{{ steps.order.body.note }}", "{{ steps.order.body.note }}!", "{{ item.text }}"], ROOTS)
    item = {"secret": "leaked", "text": "{{ config.minimum }}"}
    assert evaluate_bound(bound, {"item": item}) == ["{{ item.secret }}", "{{ item.secret }}!", "{{ config.minimum }}"]


def test_free_roots_win_over_roots_of_the_same_name() -> None:
    bound = bind("{{ item }}", {"item": "outer"})
    assert bound["bindings"] == {}
    assert evaluate_bound(bound, {"item": "inner"}) == "inner"


def test_bound_survives_json() -> None:
    bound = bind("{{ steps.order.body }}", ROOTS)
    assert evaluate_bound(strict_loads(dumps(bound)), {"item": 1}) == ROOTS["steps"]["order"]["body"]  # type: ignore[index]


def test_evaluate_bound_respects_the_limit() -> None:
    with pytest.raises(EvaluationTooLarge):
        evaluate_bound(bind("<{{ item }}>", {}), {"item": "x" * 100}, limit=50)


@pytest.mark.parametrize(("total", "expected"), [(9, False), (10, False), (11, True)])
def test_holds_bound_compares_item_with_binding(total: int, expected: bool) -> None:
    bound = bind({"all": [{"greater_than": ["{{ item.total }}", "{{ config.minimum }}"]}]}, ROOTS)
    assert holds_bound(bound, {"item": {"total": total}, "index": 0}) is expected


def test_holds_bound_names_unlike_types() -> None:
    bound = bind({"less_than": ["{{ item }}", "{{ config.minimum }}"]}, ROOTS)
    with pytest.raises(StepFailed, match=r"text .* number 10"):
        holds_bound(bound, {"item": "9"})


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    )
)
def test_bound_and_direct_evaluation_agree(data: Any) -> None:
    template = {"whole": "{{ steps.a.body }}", "text": "-{{ steps.a.body }}-{{ item }}", "item": "{{ item }}"}
    roots = {"steps": {"a": {"body": data}}}
    assert evaluate_bound(bind(template, roots), {"item": data}) == evaluate(template, roots | {"item": data})
