"""Retention as a workflow: it goes on until nothing is left, and says how much went."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest
from temporalio import activity
from temporalio.client import Client

from domain.messages import RETENTION_WORKFLOW
from domain.retention import Kind
from domain.sweeps import RetentionInput, RetentionReport
from runtime.clock import utcnow
from runtime.ids import new_id
from tests.workflows.stage import working


@dataclass
class Removing:
    """Activities under the real names. Each call removes what the next of `answers` says."""

    answers: list[RetentionReport]
    calls: list[RetentionInput] = field(default_factory=list)
    noted: list[RetentionReport] = field(default_factory=list)

    @activity.defn
    async def remove_expired(self, message: RetentionInput) -> RetentionReport:
        self.calls.append(message)
        return self.answers[len(self.calls) - 1]

    @activity.defn
    async def end_retention(self, report: RetentionReport) -> None:
        self.noted.append(report)


@pytest.mark.parametrize("begins", [None, RetentionInput(Kind.PAYLOADS, "2026-03-01T00:00:00+00:00", "exec_5")])
async def test_it_goes_on_where_an_activity_ended(client: Client, begins: RetentionInput | None) -> None:
    answers = [
        RetentionReport(Kind.PAYLOADS, "exec_7", {"executions": 9}),
        RetentionReport(Kind.LOGS, "", {"executions": 9, "payloads": 3}),
        RetentionReport(Kind.LOGS, "", {"executions": 9, "payloads": 3, "logs": 5}, done=True),
    ]
    removing, queue = Removing(answers), new_id("queue")
    arguments = [] if begins is None else [begins]
    async with working(client, queue, [removing.remove_expired, removing.end_retention]):
        await client.execute_workflow(RETENTION_WORKFLOW, args=arguments, id=new_id("job"), task_queue=queue)
    first, *others = removing.calls
    assert (first.kind, first.after) == ((Kind.PAYLOADS, "exec_5") if begins else (Kind.EXECUTIONS, ""))
    assert [(call.kind, call.after, call.removed) for call in others] == [
        (Kind.PAYLOADS, "exec_7", {"executions": 9}),
        (Kind.LOGS, "", {"executions": 9, "payloads": 3}),
    ]
    assert {call.now for call in others} == {first.now}  # what is over is judged by when it began
    if begins is None:
        assert abs((datetime.fromisoformat(first.now) - utcnow()).total_seconds()) < 60
    assert removing.noted == answers[-1:]
