"""The `state` component."""

from typing import Any

import pytest
from pydantic import ValidationError

from components.state import MOST_APPENDED
from domain.errors import StepFailed
from tests.fakes import MemoryState, run_action


async def failure(key: str, inputs: dict[str, Any], state: MemoryState) -> StepFailed:
    before = dict(state.values)
    with pytest.raises(StepFailed) as failed:
        await run_action(key, inputs, state=state)
    assert state.values == before
    return failed.value


async def test_set_keeps_and_get_reads() -> None:
    state = MemoryState()
    assert await run_action("state.set", {"key": "cursor", "value": {"page": 2}}, state=state) == {"value": {"page": 2}}
    assert await run_action("state.get", {"key": "cursor"}, state=state) == {"page": 2}


async def test_scopes_are_apart() -> None:
    state = MemoryState()
    await run_action("state.set", {"key": "a", "value": 1, "scope": "instance"}, state=state)
    assert await run_action("state.get", {"key": "a"}, state=state) is None
    assert state.values == {("instance", "a"): 1}


async def test_get_falls_back_to_the_default() -> None:
    state = MemoryState({("flow", "zero"): 0})
    assert await run_action("state.get", {"key": "gone", "default": [1]}, state=state) == [1]
    assert await run_action("state.get", {"key": "zero", "default": 5}, state=state) == 0


@pytest.mark.parametrize(
    ("present", "expect", "kept"),
    [
        (None, None, True),
        (1, 1.0, True),
        ({"a": [1]}, {"a": [1]}, True),
        (1, None, False),
        (None, 1, False),
        (1, True, False),
        ("1", 1, False),
    ],
)
async def test_set_compares_when_expected(present: Any, expect: Any, kept: bool) -> None:
    state = MemoryState({} if present is None else {("flow", "k"): present})
    inputs = {"key": "k", "value": "new", "expect": expect}
    if kept:
        await run_action("state.set", inputs, state=state)
        assert state.values == {("flow", "k"): "new"}
    else:
        assert (await failure("state.set", inputs, state)).code == "state_changed"


async def test_set_without_expect_overwrites() -> None:
    state = MemoryState({("flow", "k"): 1})
    await run_action("state.set", {"key": "k", "value": 2}, state=state)
    assert state.values == {("flow", "k"): 2}


async def test_change_names_key_and_values_bounded() -> None:
    state = MemoryState({("flow", "cursor"): "x" * 5000})
    failed = await failure("state.set", {"key": "cursor", "value": 1, "expect": {"page": 1}}, state)
    assert failed.message.startswith('cursor is "xxx')
    assert failed.message.endswith('…, expected {"page":1}')
    assert len(failed.message) < 300


async def test_delete_says_whether_there_was_something() -> None:
    state = MemoryState({("flow", "a"): 1})
    assert await run_action("state.delete", {"key": "a"}, state=state) == {"deleted": True}
    assert await run_action("state.delete", {"key": "a"}, state=state) == {"deleted": False}
    assert state.values == {}


async def test_increment_begins_at_zero() -> None:
    state = MemoryState()
    assert await run_action("state.increment", {"key": "n"}, state=state) == 1
    assert await run_action("state.increment", {"key": "n", "by": -2.5}, state=state) == -1.5
    assert state.values == {("flow", "n"): -1.5}


@pytest.mark.parametrize(
    ("present", "by", "code"),
    [
        ("1", 1, "not_a_number"),
        (True, 1, "not_a_number"),
        (1e308, 1e308, "number_out_of_range"),
        (10**4000, 0.5, "number_out_of_range"),
    ],
)
async def test_increment_refuses_what_it_cannot_add(present: Any, by: Any, code: str) -> None:
    assert (
        await failure("state.increment", {"key": "n", "by": by}, MemoryState({("flow", "n"): present}))
    ).code == code


async def test_append_begins_a_list() -> None:
    state = MemoryState()
    assert await run_action("state.append", {"key": "seen", "value": None}, state=state) == [None]
    assert await run_action("state.append", {"key": "seen", "value": [2]}, state=state) == [None, [2]]


async def test_append_keeps_the_last_ones() -> None:
    state = MemoryState({("flow", "seen"): [1, 2, 3]})
    assert await run_action("state.append", {"key": "seen", "value": 4, "max": 2}, state=state) == [3, 4]
    assert state.values == {("flow", "seen"): [3, 4]}


async def test_append_is_bounded() -> None:
    state = MemoryState({("flow", "seen"): list(range(MOST_APPENDED))})
    assert (await failure("state.append", {"key": "seen", "value": 1}, state)).code == "too_many_items"
    kept = await run_action("state.append", {"key": "seen", "value": 1, "max": MOST_APPENDED}, state=state)
    assert (len(kept), kept[0], kept[-1]) == (MOST_APPENDED, 1, 1)


async def test_append_refuses_what_is_no_list() -> None:
    failed = await failure("state.append", {"key": "seen", "value": 1}, MemoryState({("flow", "seen"): {"a": 1}}))
    assert (failed.code, failed.message) == ("not_a_list", "seen is object, not a list")


@pytest.mark.parametrize(
    ("key", "inputs", "named"),
    [
        ("get", {"key": ""}, "key"),
        ("get", {"key": None}, "key"),
        ("get", {"key": "a", "scope": "customer"}, "scope"),
        ("set", {"key": "a"}, "value"),
        ("increment", {"key": "a", "by": "1"}, "by"),
        ("append", {"key": "a", "value": 1, "max": 0}, "max"),
        ("delete", {"key": "a", "value": 1}, "value"),
    ],
)
async def test_wrong_input_is_named(key: str, inputs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        await run_action(f"state.{key}", inputs)
