"""A gateway without Temporal: it notes what it was asked, and can be away."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from activities.handover import Handover
from api.gateway import WorkflowLink
from domain.errors import Unavailable
from domain.messages import DeployInput, DeployResult
from store.queues import QueueOf
from store.tables import JobRow


@dataclass
class FakeGateway:
    """Set `deployed` to what `deploy` answers, an exception to raise, or None for "takes longer"."""

    away: bool = False
    deployed: DeployResult | Exception | None = None
    handed_over: list[Handover] = field(default_factory=list)
    deliveries: list[Handover] = field(default_factory=list)
    replaced: list[Handover] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)
    deploys: list[DeployInput] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    synced: list[str] = field(default_factory=list)
    nudged: list[str] = field(default_factory=list)
    called_back: list[str] = field(default_factory=list)
    awaited: list[tuple[str, float]] = field(default_factory=list)
    end: Callable[[str], Awaitable[None]] | None = None  # what happens while `ended` waits
    told: list[str] = field(default_factory=list)
    log_streams: list[str] = field(default_factory=list)

    async def hand_over(self, handover: Handover, *, delivery: bool = False) -> bool:
        if self.away:
            return False
        (self.deliveries if delivery else self.handed_over).append(handover)
        return True

    async def close(self) -> None:
        pass

    async def nudge(self, queue: QueueOf) -> bool:
        return self._note(self.nudged, queue.instance_flow_id)

    async def tell_called_back(self, workflow_id: str, path: str) -> bool:
        return self._note(self.called_back, f"{workflow_id}/{path}")

    async def ended(self, workflow_id: str, seconds: float) -> bool:
        self.awaited.append((workflow_id, seconds))
        if self.end is not None:
            await self.end(workflow_id)
        return self.end is not None

    async def replace(self, handover: Handover) -> bool:
        if not self.away:
            self.replaced.append(handover)
        return not self.away

    async def cancel(self, workflow_id: str) -> bool:
        return self._note(self.canceled, workflow_id)

    async def deploy(self, message: DeployInput) -> DeployResult | None:
        if self.away:
            raise Unavailable("Temporal is away; nothing has changed", retry_after=1)
        self.deploys.append(message)
        if isinstance(self.deployed, Exception):
            raise self.deployed
        return self.deployed

    async def start_job(self, job: JobRow) -> bool:
        return self._note(self.jobs, job.id)

    async def sync_schedules(self, instance_id: str) -> bool:
        return self._note(self.synced, instance_id)

    async def start_log_stream(self, stream_id: str) -> bool:
        return self._note(self.log_streams, stream_id)

    async def tell_now(self) -> bool:
        return self._note(self.told, "now")

    async def healthy(self) -> bool:
        return not self.away

    def link(self, workflow_id: str, run_id: str | None) -> WorkflowLink:
        return WorkflowLink(workflow_id, run_id, None)

    def _note(self, notes: list[str], what: str) -> bool:
        if not self.away:
            notes.append(what)
        return not self.away
