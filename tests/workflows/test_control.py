from typing import Any

import pytest

from domain.executions import Status
from domain.messages import CloseInput, StepRecord
from tests.workflows.stage import Fakes, Stage, get, say, step_error

BIG = {"greater_than": ["{{ trigger.body.id }}", 5]}
SMALL = {"less_than": ["{{ trigger.body.id }}", 5]}


def record(close: CloseInput, path: str) -> StepRecord:
    return next(record for record in close.records if record.path == path)


def branch(*cases: dict[str, Any]) -> dict[str, Any]:
    return {"key": "size", "branch": list(cases)}


@pytest.mark.parametrize(
    ("cases", "chosen", "paths"),
    [
        (
            [
                {"name": "Small", "when": SMALL, "steps": [get("a")]},
                {"name": "Big", "when": BIG, "steps": [get("b")]},
                {"name": "Also big", "when": BIG, "steps": [get("c")]},
                {"name": "Else", "else": True, "steps": [get("d")]},
            ],
            "Big",
            ["size.b", "after"],
        ),
        ([{"name": "Small", "when": SMALL}, {"name": "Else", "else": True, "steps": [get("d")]}], "Else",
         ["size.d", "after"]),
        ([{"name": "Small", "when": SMALL, "steps": [get("a")]}], None, ["after"]),
    ],
)  # fmt: skip
async def test_branch(stage: Stage, fakes: Fakes, cases: list[Any], chosen: str | None, paths: list[str]) -> None:
    await stage.run(branch(*cases), get("after", "{{ steps.size }}"))
    assert fakes.paths == paths
    assert fakes.steps[-1].inputs == {"value": chosen}
    written = fakes.steps[-1].records[-1]
    assert (written.path, written.kind, written.branch, written.position) == ("size", "branch", chosen, 1)


async def test_condition_that_cannot_be_evaluated_fails_the_branch(stage: Stage, fakes: Fakes) -> None:
    close = await stage.run(branch({"name": "Odd", "when": {"greater_than": ["{{ trigger.body.lines }}", 5]}}))
    assert close.failure is not None
    assert (close.status, close.failure.code, close.failure.step) == (Status.FAILED, "condition_error", "size")
    assert record(close, "size").error == close.failure


@pytest.mark.parametrize(
    ("loop", "items"),
    [
        ({"over": "{{ trigger.body.lines }}"}, [{"sku": "a"}, {"sku": "b"}]),
        ({"over": {"x": 1, "y": 2}}, [{"key": "x", "value": 1}, {"key": "y", "value": 2}]),
        ({"times": 3}, [0, 1, 2]),
        ({"times": 0}, []),
    ],
)
async def test_loop_over(stage: Stage, fakes: Fakes, loop: dict[str, Any], items: list[Any]) -> None:
    body = [get("one", "{{ loop.item }}"), get("two", "{{ loop.index }}")]
    close = await stage.run({"key": "each", "loop": loop, "steps": body}, get("after", "{{ steps.each }}"))
    ones = [step for step in fakes.steps if step.key == "one"]
    assert [step.inputs["value"] for step in ones] == items
    assert [(step.path, step.iteration) for step in ones] == [(f"each[{n}].one", [n]) for n in range(len(items))]
    assert fakes.steps[-1].inputs == {"value": [{"value": n} for n in range(len(items))]}
    assert close.status == Status.SUCCEEDED
    each = fakes.steps[-1].records[-1]
    assert (each.path, each.kind, each.inputs, each.output) == ("each", "loop", {"count": len(items)}, each.inputs)


async def test_nested_loops_know_their_places(stage: Stage, fakes: Fakes) -> None:
    cell = get("cell", "{{ loop.item }} of {{ steps.outer.item.sku }}")
    body = [branch({"name": "All", "else": True, "steps": [cell]})]
    inner = {"key": "inner", "loop": {"times": 2}, "steps": body}
    await stage.run({"key": "outer", "loop": {"over": "{{ trigger.body.lines }}"}, "steps": [inner]}, get("after"))
    cells = [(step.path, step.iteration, step.inputs["value"]) for step in fakes.steps[:-1]]
    assert cells == [
        ("outer[0].inner[0].size.cell", [0, 0], "0 of a"),
        ("outer[0].inner[1].size.cell", [0, 1], "1 of a"),
        ("outer[1].inner[0].size.cell", [1, 0], "0 of b"),
        ("outer[1].inner[1].size.cell", [1, 1], "1 of b"),
    ]
    written = [(record.path, record.iteration) for step in fakes.steps for record in step.records]
    assert written == [
        ("outer[0].inner[0].size", [0, 0]),
        ("outer[0].inner[1].size", [0, 1]),
        ("outer[0].inner", [0]),
        ("outer[1].inner[0].size", [1, 0]),
        ("outer[1].inner[1].size", [1, 1]),
        ("outer[1].inner", [1]),
        ("outer", []),
    ]


async def test_values_of_an_earlier_round_are_gone(stage: Stage, fakes: Fakes) -> None:
    once = branch({"name": "First", "when": {"equal": ["{{ loop.index }}", 0]}, "steps": [get("seen", 1)]})
    body = [once, get("look", "{{ steps.seen.value }}")]
    await stage.run({"key": "each", "loop": {"times": 2}, "steps": body})
    assert [step.inputs["value"] for step in fakes.steps if step.key == "look"] == [1, None]


@pytest.mark.parametrize(
    ("loop", "code"),
    [
        ({"over": "{{ trigger.body.id }}"}, "invalid_input"),
        ({"over": "{{ trigger.body.absent }}"}, "invalid_input"),
        ({"times": "{{ trigger.body.lines }}"}, "invalid_input"),
        ({"times": -1}, "invalid_input"),
        ({"times": 10_001}, "too_many_items"),
    ],
)
async def test_loop_over_what_is_no_list(stage: Stage, fakes: Fakes, loop: dict[str, Any], code: str) -> None:
    close = await stage.run({"key": "each", "loop": loop, "steps": [get("never")]})
    assert close.failure is not None
    assert (close.failure.code, record(close, "each").status, fakes.paths) == (code, "failed", [])


async def test_break_ends_the_innermost_loop_only(stage: Stage, fakes: Fakes) -> None:
    second = {"name": "Second", "when": {"equal": ["{{ loop.index }}", 1]}, "steps": [{"key": "enough", "break": True}]}
    inner = {"key": "inner", "loop": {"times": 5}, "steps": [branch(second), get("cell", "{{ loop.index }}")]}
    await stage.run({"key": "outer", "loop": {"times": 2}, "steps": [inner]}, get("after", "{{ steps.outer }}"))
    assert fakes.paths == ["outer[0].inner[0].cell", "outer[1].inner[0].cell", "after"]
    assert fakes.steps[-1].inputs == {"value": [[{"value": 0}], [{"value": 0}]]}
    written = {record.path: record for step in fakes.steps for record in step.records}
    assert written["outer[1].inner[1].size.enough"].status == "succeeded"
    assert written["outer[1].inner"].output == {"count": 1}


async def test_stop_ends_the_execution_from_any_depth(stage: Stage, fakes: Fakes) -> None:
    stop = {"key": "answer", "stop": {"status": 201, "body": {"id": "{{ trigger.body.id }}"}}}
    body = [branch({"name": "All", "else": True, "steps": [get("cell"), stop]})]
    close = await stage.run({"key": "each", "loop": {"times": 3}, "steps": body}, get("never"))
    assert fakes.paths == ["each[0].size.cell"]
    assert (close.status, close.failure) == (Status.SUCCEEDED, None)
    assert record(close, "each[0].size.answer").output == {"status": 201, "body": {"id": 7}}
    assert [(each.path, each.status) for each in close.records] == [
        ("each[0].size.answer", "succeeded"),
        ("each[0].size", "succeeded"),
        ("each", "succeeded"),
    ]


async def test_stop_as_a_failure(stage: Stage, fakes: Fakes) -> None:
    close = await stage.run({"key": "enough", "stop": {"fail": "No order {{ trigger.body.id }}"}}, get("never"))
    assert fakes.paths == []
    assert close.failure is not None
    assert (close.failure.code, close.failure.message) == ("stopped", "No order 7")
    assert record(close, "enough").status == "failed"


async def test_failure_inside_is_seen_on_every_step_around_it(stage: Stage, fakes: Fakes) -> None:
    fakes.script["each[1].get"] = step_error()
    close = await stage.run({"key": "each", "loop": {"times": 3}, "steps": [get("get")]})
    assert fakes.paths == ["each[0].get", "each[1].get"]
    assert [(each.path, each.status, each.error) for each in close.records] == [("each", "failed", close.failure)]


async def test_sleep_takes_its_time(stage: Stage, fakes: Fakes) -> None:
    close = await stage.run({"key": "nap", "name": "Nap", "sleep": "200ms"}, say("after"))
    nap = fakes.steps[0].records[0]
    assert (nap.path, nap.name, nap.kind, nap.inputs) == ("nap", "Nap", "sleep", {"duration": "200ms"})
    assert nap.ended_at is not None
    assert nap.ended_at > nap.started_at
    assert close.status == Status.SUCCEEDED


async def test_records_are_written_once(stage: Stage, fakes: Fakes) -> None:
    nap = {"sleep": "1ms"}
    close = await stage.run({"key": "a"} | nap, get("b"), {"key": "c"} | nap, say("d"), {"key": "e"} | nap)
    assert [[record.path for record in step.records] for step in fakes.steps] == [["a"], ["c"]]
    assert [record.path for record in close.records] == ["e"]
    assert [record.position for record in close.records] == [5]
