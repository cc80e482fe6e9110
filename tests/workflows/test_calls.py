import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError

from domain.executions import Status
from tests.workflows.stage import Fakes, Stage, get, say, step_error

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
MARKER = EventType.EVENT_TYPE_MARKER_RECORDED
TIMER = EventType.EVENT_TYPE_TIMER_STARTED


async def events(handle: WorkflowHandle[Any, Any]) -> Counter[int]:
    """How often each kind of event is in the history."""
    return Counter(event.event_type for event in (await handle.fetch_history()).events)


async def ended(stage: Stage, *steps: dict[str, Any]) -> Counter[int]:
    handle = await stage.start(*steps)
    await asyncio.wait_for(handle.result(), 15)
    return await events(handle)


async def test_step_that_touches_the_world_is_an_activity_named_after_its_action(stage: Stage, fakes: Fakes) -> None:
    handle = await stage.start(get("order", name="Fetch the order"), say("say"))
    await handle.result()
    history = (await handle.fetch_history()).events
    [scheduled] = [event for event in history if event.event_type == SCHEDULED]
    assert scheduled.activity_task_scheduled_event_attributes.activity_type.name == "http.get"
    [summary] = await stage.client.data_converter.decode([scheduled.user_metadata.summary], [str])
    assert summary == "Fetch the order"
    assert [step.flow for step in fakes.steps] == ["hello", "hello"]


async def test_short_step_costs_no_transition(stage: Stage, fakes: Fakes) -> None:
    fakes.opened = {"local_first": ["order"]}
    seen = await ended(stage, get("order"), get("other"))
    assert (seen[SCHEDULED], seen[MARKER]) == (1, 3)  # open, the short step, close
    assert fakes.paths == ["order", "other"]
    assert fakes.close.status == Status.SUCCEEDED


async def test_short_step_that_may_be_repeated_goes_on_as_an_activity(stage: Stage, fakes: Fakes) -> None:
    again = step_error(final=False, transient=True)
    fakes.opened = {"local_first": ["get"]}
    fakes.script["get"] = [
        ApplicationError(again.message, *again.details, next_retry_delay=timedelta(seconds=0.3)),
        "got",
    ]
    handle = await stage.start(get("get", on_error={"retries": 1}), say("after", "{{ steps.get }}"))
    await handle.result()
    assert [step.path for step in fakes.steps] == ["get", "get", "after"]
    assert fakes.steps[2].inputs == {"message": "got"}
    assert (await events(handle))[SCHEDULED] == 1
    fired = [event for event in (await handle.fetch_history()).events if event.event_type == TIMER]
    waits = [event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta() for event in fired]
    assert timedelta(seconds=0.3) in waits


async def test_short_step_that_fails_for_good_is_not_repeated(stage: Stage, fakes: Fakes) -> None:
    fakes.opened, fakes.script["get"] = {"local_first": ["get"]}, step_error()
    close = await stage.run(get("get"))
    assert fakes.paths == ["get"]
    assert close.failure is not None
    assert (close.status, close.failure.code) == (Status.FAILED, "http_status")


async def test_short_step_without_a_record_is_done_as_an_activity(stage: Stage, fakes: Fakes) -> None:
    """The database was away before the step had begun."""
    fakes.opened, fakes.script["get"] = {"local_first": ["get"]}, [RuntimeError("away"), "got"]
    close = await stage.run(get("get"))
    assert (close.status, fakes.paths) == (Status.SUCCEEDED, ["get", "get"])
    first, second = (datetime.fromisoformat(step.started_at) for step in fakes.steps)
    assert first == second


async def test_many_local_steps_are_sent_in_portions(stage: Stage, fakes: Fakes) -> None:
    """One message to the server holds 4 MiB, a local result up to 64 KiB."""
    seen = await ended(stage, {"key": "each", "loop": {"times": 65}, "steps": [say("say")]})
    assert len(fakes.steps) == 65
    assert seen[TIMER] == 1 + 2  # the flow's timeout, and two portions
