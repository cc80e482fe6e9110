from typing import Any

import pytest

from domain.tags import LONGEST, as_text, evaluate_tags

BODY = {"id": 7, "name": "Ä", "lines": [{"sku": "a"}], "empty": "", "none": None, "paid": False}
ROOTS = {"trigger": {"body": BODY}}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ trigger.body.id }}", "7"),
        ("{{ trigger.body.name }}", "Ä"),
        ("order-{{ trigger.body.id }}", "order-7"),
        ("{{ trigger.body.paid }}", "false"),
        ("{{ trigger.body.lines }}", '[{"sku":"a"}]'),
        ("fixed", "fixed"),
    ],
)
def test_tag_as_text(template: str, text: str) -> None:
    assert evaluate_tags({"tag": template}, ROOTS) == {"tag": text}


@pytest.mark.parametrize("name", ["absent", "empty", "none", "id.deeper"])
def test_tag_without_a_value_is_left_out(name: str) -> None:
    assert evaluate_tags({"tag": f"{{{{ trigger.body.{name} }}}}", "other": "x"}, ROOTS) == {"other": "x"}


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), ("a\x00b", "a\ufffdb"), ("\ud800", "\ufffd"), (1.5, "1.5"), ({}, "{}")]
)
def test_text_of_a_value(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_long_tag_is_cut() -> None:
    assert len(as_text("x" * 1000)) == LONGEST


def test_tag_that_is_far_too_large_is_left_out() -> None:
    roots = {"trigger": {"body": "x" * 6_000_000}}
    assert evaluate_tags({"tag": "{{ trigger.body }}" * 3, "other": "x"}, roots) == {"other": "x"}
