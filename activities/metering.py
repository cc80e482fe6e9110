"""What executions and steps tell the metrics, once it is committed: what is rolled back and repeated counts once."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from domain.executions import StepStatus
from runtime import metrics
from runtime.clock import utcnow
from store.executions import Moved
from store.instance_flows import FlowKeys, InstanceFlows
from store.steps import Record
from store.tables import ExecutionRow

HELD = 10_000


class FlowNames:
    """The keys of integration and flow, read once per process."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, FlowKeys] = OrderedDict()

    async def of(self, session: AsyncSession, instance_flow_id: str) -> FlowKeys:
        keys = self._held.get(instance_flow_id)
        if keys is None:
            keys = self._held[instance_flow_id] = await InstanceFlows(session).keys_of(instance_flow_id)
            if len(self._held) > HELD:
                self._held.popitem(last=False)
        return keys


class Tally:
    """Facts of one transaction; `count` them after its commit."""

    def __init__(self) -> None:
        self._facts: list[Callable[[], None]] = []

    def started(self, keys: FlowKeys, trigger: str) -> None:
        self._facts.append(metrics.EXECUTIONS_STARTED.labels(*keys, trigger).inc)

    def fired(self, keys: FlowKeys, nominal: datetime) -> None:
        lag = max((utcnow() - nominal).total_seconds(), 0.0)
        self._facts.append(partial(metrics.SCHEDULE_LAG_SECONDS.labels(*keys).observe, lag))

    def finished(self, keys: FlowKeys, row: ExecutionRow | Moved, status: str) -> None:
        self._facts.append(metrics.EXECUTIONS_FINISHED.labels(*keys, status).inc)
        if row.started_at is not None:
            seconds = (utcnow() - row.started_at).total_seconds()
            self._facts.append(partial(metrics.EXECUTION_SECONDS.labels(*keys, status).observe, seconds))

    def count(self) -> None:
        for fact in self._facts:
            fact()


def count_try(row: Record, known: bool, seconds: float) -> None:
    """One try of a step, as it was recorded. What a definition names in vain is no label: anybody may write one."""
    component, action = (row.component, row.action) if known else ("unknown", "unknown")
    outcome = "again" if row.status == StepStatus.RUNNING else row.status
    metrics.STEP_ATTEMPTS.labels(component, action, outcome).inc()
    metrics.STEP_SECONDS.labels(component, action, outcome).observe(seconds)
