"""Sweeps that a Temporal Schedule starts time and again, one run of each at a time."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from domain.messages import RECONCILE_WORKFLOW, RETENTION_WORKFLOW, USAGE_WORKFLOW


@dataclass(frozen=True)
class Recurring:
    workflow: str
    schedule_id: str  # and the beginning of its runs' workflow ids
    every: timedelta

    async def ensure(self, client: Client, task_queue: str) -> bool:
        """False: its schedule was there."""
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(self.workflow, id=self.schedule_id, task_queue=task_queue),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=self.every)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=self.every),
        )
        try:
            await client.create_schedule(self.schedule_id, schedule)
        except ScheduleAlreadyRunningError:
            return False
        return True


RECURRING = (
    Recurring(RETENTION_WORKFLOW, "flowgraft-retention", timedelta(hours=1)),
    Recurring(USAGE_WORKFLOW, "flowgraft-usage", timedelta(minutes=5)),
    Recurring(RECONCILE_WORKFLOW, "flowgraft-reconcile", timedelta(minutes=1)),
)


async def ensure_recurring(client: Client, task_queue: str) -> None:
    for each in RECURRING:
        await each.ensure(client, task_queue)
