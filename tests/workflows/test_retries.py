from datetime import datetime
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from domain.executions import RetryRule, Status
from domain.messages import CloseInput
from tests.workflows.stage import Fakes, Stage, get, step_error

TWICE = RetryRule(max_attempts=2, delay_seconds=1)


def seconds_until_next(fakes: Fakes, close: CloseInput, following: str) -> float:
    """From the failed attempt's close, as it was announced, to the first step of the next attempt."""
    assert close.next_attempt_at is not None
    started = next(step.started_at for step in fakes.steps if step.attempt > close.attempt and step.path == following)
    return (datetime.fromisoformat(started) - datetime.fromisoformat(close.next_attempt_at)).total_seconds()


async def test_failed_attempt_is_repeated_from_the_first_step(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = [step_error(transient=True), 1]
    close = await stage.run(get("first"), get("get"), retry=TWICE)
    assert [(step.path, step.attempt) for step in fakes.steps] == [("first", 1), ("get", 1), ("first", 2), ("get", 2)]
    assert [(each.status, each.attempt, each.max_attempts) for each in fakes.closes] == [
        (Status.RETRYING, 1, 2),
        (Status.SUCCEEDED, 2, 2),
    ]
    assert fakes.closes[0].failure is not None
    assert fakes.closes[0].run_id != close.run_id
    assert [opened.attempt for opened in fakes.opens] == [1, 2]
    assert -0.1 < seconds_until_next(fakes, fakes.closes[0], "first") < 1


async def test_last_attempt_fails_for_good(stage: Stage, fakes: Fakes) -> None:
    """A failure that Temporal calls non-retryable inside an activity's error is retried all the same: ours decides."""
    fakes.script["get"] = step_error()
    await stage.run(get("get"), retry=TWICE)
    assert [(each.status, each.attempt) for each in fakes.closes] == [(Status.RETRYING, 1), (Status.FAILED, 2)]
    assert fakes.close.next_attempt_at is None


async def test_delay_under_a_second_is_a_second(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = [step_error(), 1]
    await stage.run(get("get"), retry=RetryRule(max_attempts=2, delay_seconds=0.1))
    first = datetime.fromisoformat(fakes.steps[0].started_at)
    second = datetime.fromisoformat(fakes.steps[1].started_at)
    assert (second - first).total_seconds() >= 1
    assert abs(seconds_until_next(fakes, fakes.closes[0], "get")) < 0.5


async def test_retry_after_lengthens_the_delay(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = [step_error(transient=True, retry_after=2.5), 1]
    await stage.run(get("get"), retry=TWICE)
    first = datetime.fromisoformat(fakes.steps[0].started_at)
    second = datetime.fromisoformat(fakes.steps[1].started_at)
    assert (second - first).total_seconds() >= 2.5
    assert abs(seconds_until_next(fakes, fakes.closes[0], "get")) < 0.5


@pytest.mark.parametrize(
    ("given", "transient_only", "attempts"),
    [
        ({"transient": True}, True, 2),
        ({"transient": False}, True, 1),
        ({"permanent": True}, False, 1),
        ({"permanent": True, "transient": True}, False, 1),
    ],
)
async def test_what_another_attempt_is_made_for(
    stage: Stage, fakes: Fakes, given: dict[str, Any], transient_only: bool, attempts: int
) -> None:
    fakes.script["get"] = step_error(**given)
    await stage.run(get("get"), retry=RetryRule(2, 1, transient_only=transient_only))
    assert [each.attempt for each in fakes.closes] == list(range(1, attempts + 1))
    assert fakes.close.status == Status.FAILED


async def test_stop_as_a_failure_is_not_repeated(stage: Stage, fakes: Fakes) -> None:
    await stage.run({"key": "enough", "stop": {"fail": "no"}}, retry=TWICE)
    assert [(each.status, each.attempt) for each in fakes.closes] == [(Status.FAILED, 1)]


async def test_failure_leaves_the_workflow_as_one_application_error(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = step_error()
    handle = await stage.start(get("get"))
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert (caught.value.cause.type, caught.value.cause.non_retryable) == ("http_status", True)


async def test_activity_that_fails_without_a_record_keeps_the_control_records(stage: Stage, fakes: Fakes) -> None:
    """The database was away for longer than anybody waits: nothing of the step has been written."""
    fakes.script["get"] = ApplicationError("away", type="Unavailable", non_retryable=True)
    close = await stage.run({"key": "nap", "sleep": "1ms"}, get("get"))
    assert close.failure is not None
    assert close.failure.code == "internal_error"
    assert [(record.path, record.status) for record in close.records] == [("nap", "succeeded"), ("get", "failed")]
