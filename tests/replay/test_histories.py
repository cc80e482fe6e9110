"""Every recorded history is replayed by today's code: what fails here would fail in executions under way."""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tests.replay.record import HISTORIES, LARGEST, SHAPES
from worker import WORKFLOWS, workflow_runner

RECORDED = sorted(HISTORIES.glob("*.json"))


def workflow_type(text: str) -> str:
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    name: str = started["workflowType"]["name"]
    return name


@pytest.mark.parametrize("sandboxed", [True, False])
@pytest.mark.parametrize("shape", [path.stem for path in RECORDED])
async def test_history_is_replayed(shape: str, sandboxed: bool) -> None:
    history = WorkflowHistory.from_json(shape, (HISTORIES / f"{shape}.json").read_text())
    replayer = Replayer(workflows=WORKFLOWS, workflow_runner=workflow_runner(sandboxed))
    await replayer.replay_workflow(history)


def test_every_workflow_has_a_history() -> None:
    recorded = {workflow_type(path.read_text()) for path in RECORDED}
    assert recorded == {vars(workflow)["__temporal_workflow_definition"].name for workflow in WORKFLOWS}


def test_every_shape_has_its_history() -> None:
    assert {path.stem for path in RECORDED} == set(SHAPES)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_history_is_small_and_of_no_machine(path: Path) -> None:
    text = path.read_text()
    assert len(text) <= LARGEST
    assert "site-packages" not in text
    assert ".py" not in text
