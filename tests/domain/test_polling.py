from typing import Any

import pytest

from domain.errors import StepFailed
from domain.polling import MOST, REMEMBERED, identity, items_at, remembered


@pytest.mark.parametrize(
    ("output", "items"),
    [({"body": {"orders": [1, 2]}}, [1, 2]), ({"body": {}}, []), ({"body": {"orders": None}}, []), (None, [])],
)
def test_items_are_where_the_definition_says(output: Any, items: list[Any]) -> None:
    assert items_at(output, "body.orders") == items


@pytest.mark.parametrize("found", [{"a": 1}, "text", list(range(MOST + 1))])
def test_what_is_no_list_or_too_long_fails(found: Any) -> None:
    with pytest.raises(StepFailed) as caught:
        items_at({"body": found}, "body")
    assert caught.value.code == "invalid_poll"


def test_items_are_told_apart_by_their_id_or_by_all_of_them() -> None:
    assert identity({"id": 1, "x": 1}, "id") == identity({"id": 1, "x": 2}, "id")
    assert identity({"id": 1, "x": 1}, None) != identity({"id": 1, "x": 2}, None)
    assert identity({"x": 1}, "id") == identity({"x": 1}, None)
    assert identity({"id": 1}, "id") != identity({"id": "1"}, "id")


def test_the_latest_are_remembered() -> None:
    seen = remembered([str(number) for number in range(REMEMBERED)], ["new"])
    assert (len(seen), seen[0], seen[-1]) == (REMEMBERED, "1", "new")
