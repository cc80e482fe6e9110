"""What the API asks of Temporal. `api/temporal.py` is the real one; tests bring a fake."""

from dataclasses import dataclass
from typing import Protocol

from activities.handover import Handover
from domain.messages import DeployInput, DeployResult
from store.queues import QueueOf
from store.tables import JobRow


@dataclass(frozen=True)
class WorkflowLink:
    """Where an execution's workflow can be looked at."""

    workflow_id: str
    run_id: str | None
    url: str | None


class Gateway(Protocol):
    async def hand_over(self, handover: Handover, *, delivery: bool = False) -> bool:
        """Start the execution's workflow, once. `delivery`: a webhook's first start (signal-with-start).

        Bounded by about a second and never raises for Temporal being away: False then, and it is started later, by
        this process in some seconds or by upkeep.
        """
        ...

    async def close(self) -> None:
        """What is to be handed over later is upkeep's from now on."""
        ...

    async def nudge(self, queue: QueueOf) -> bool:
        """Tell a flow's queue that something may begin. False when Temporal is away: upkeep does it."""
        ...

    async def replace(self, handover: Handover) -> bool:
        """Begin its workflow anew, as the ledger has it now. False when Temporal is away: upkeep does it."""
        ...

    async def cancel(self, workflow_id: str) -> bool:
        """Ask the workflow to end; a pending retry ends at once. False when Temporal is away."""
        ...

    async def tell_called_back(self, workflow_id: str, path: str) -> bool:
        """Something came in for a step that waits. False when Temporal is away: the workflow looks by itself."""
        ...

    async def ended(self, workflow_id: str, seconds: float) -> bool:
        """Wait until the execution's workflow has ended, at most so long. False: it has not, or Temporal is away."""
        ...

    async def deploy(self, message: DeployInput) -> DeployResult | None:
        """Run the deploy workflow and wait up to 30 s; None when it takes longer.

        Raises Unavailable (Temporal away, nothing changed), Conflict (another deploy is under way), Invalid.
        """
        ...

    async def start_job(self, job: JobRow) -> bool:
        """Start the workflow of a delete or delete_customer job. False when Temporal is away: upkeep does it."""
        ...

    async def sync_schedules(self, instance_id: str) -> bool:
        """Bring the instance's Temporal Schedules in line with the ledger (pause, unpause). False: upkeep does it."""
        ...

    async def start_log_stream(self, stream_id: str) -> bool:
        """Start the stream's workflow, or have it look at once. False when Temporal is away: a sweep does it."""
        ...

    async def tell_now(self) -> bool:
        """Get what was announced on its way to those who listen. False when Temporal is away: a sweep does it."""
        ...

    async def healthy(self) -> bool: ...

    def link(self, workflow_id: str, run_id: str | None) -> WorkflowLink: ...
