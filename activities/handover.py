"""Handing an accepted execution over to Temporal: the one place that starts its workflow."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import (
    Priority,
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from domain.executions import MAX_DELAY, MIN_DELAY, RetryRule, Status
from domain.jsontext import dumps
from domain.messages import (
    CALLED_SIGNAL,
    DELIVERY_SIGNAL,
    EXECUTION_WORKFLOW,
    QUEUE_SIGNAL,
    QUEUE_WORKFLOW,
    ExecutionInput,
    QueueInput,
    queue_workflow_id,
)
from runtime.clock import utcnow
from runtime.temporal import INSTANCE_ID
from store.executions import ExecutionView
from store.queues import QueueOf

INLINE_PAYLOAD = 64 * 1024  # characters of JSON; a larger trigger stays in the acceptance row


@dataclass(frozen=True)
class Handover:
    """All that a start needs. `trigger` only when small; `attempts_made` when a lost chain is begun anew."""

    execution_id: str
    instance_flow_id: str
    deployment_id: str
    customer_id: str
    instance_id: str
    integration_id: str
    version_number: int
    trigger_kind: str
    retry: RetryRule
    summary: str
    replay_of: str | None = None
    queued: bool = False  # it waits in its flow's queue, which is told of it
    trigger: dict[str, Any] | None = None
    attempts_made: int = 0
    workflow_id: str | None = None  # where it is not the execution's id: a schedule's
    not_before: datetime | None = None  # when its next attempt is
    supersedes: tuple[str, ...] = ()  # workflows whose pending retry this delivery has made needless


def handover_of(view: ExecutionView, *, attempts_made: int = 0, queued: bool = True) -> Handover:
    """From the ledger; the payload is read by the execution itself. Not `queued`: it has a workflow, or shall have
    one, also while it waits in a queue."""
    row = view.row
    return Handover(
        execution_id=row.id,
        instance_flow_id=row.instance_flow_id,
        deployment_id=row.deployment_id,
        customer_id=row.customer_id,
        instance_id=row.instance_id,
        integration_id=row.integration_id,
        version_number=view.version_number,
        trigger_kind=row.trigger,
        retry=RetryRule(**row.retry),
        summary=summary(view.customer_name, view.instance_name, view.version_number, view.flow_name, row.trigger),
        replay_of=row.replay_of,
        queued=queued and row.queue_key is not None and row.handed_over_at is None,
        attempts_made=attempts_made,
        workflow_id=row.workflow_id if row.workflow_id != row.id else None,
        not_before=row.next_attempt_at,
    )


def anew(view: ExecutionView) -> Handover:
    """For a workflow that goes on where the ledger says that it was: an attempt under way is made once more."""
    row = view.row
    under_way = row.status == Status.RUNNING
    return handover_of(view, attempts_made=row.attempt - 1 if under_way and row.attempt else row.attempt, queued=False)


def summary(customer: str, instance: str, version: int, flow: str, trigger: str) -> str:
    """One line for Temporal's list, within its 200 bytes."""
    text = f"{customer} · {instance} v{version} · {flow} · {trigger}"
    return text.encode()[:200].decode(errors="ignore")


def small(trigger: dict[str, Any]) -> dict[str, Any] | None:
    return trigger if len(dumps(trigger)) <= INLINE_PAYLOAD else None


class Starter:
    """Starts execution workflows. A workflow that exists already is a success, so every call may be repeated."""

    def __init__(self, client: Client, task_queue: str, public_url: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._public_url = public_url

    async def start(self, handover: Handover, *, delivery: bool = False) -> None:
        """`delivery`: signal-with-start, for a webhook's first start only: repeated, it would signal an open run
        again and cut a retry's delay short. Raises what the client raises when Temporal is away."""
        if handover.queued:
            of = QueueOf(handover.instance_flow_id, handover.instance_id, handover.customer_id)
            await self.nudge(of)
            return
        signal: dict[str, Any] = {"start_signal": DELIVERY_SIGNAL, "start_signal_args": [handover.execution_id]}
        if not delivery:
            signal = {"id_conflict_policy": WorkflowIDConflictPolicy.FAIL}
        with suppress(WorkflowAlreadyStartedError):
            await self._start(handover, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE, **signal)

    async def begin_anew(self, handover: Handover, kept: TypedSearchAttributes = TypedSearchAttributes.empty) -> None:
        """After a workflow of the same id, if there was one. Raises WorkflowAlreadyStartedError while one is open."""
        await self._start(
            handover,
            kept,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )

    async def _start(
        self, handover: Handover, kept: TypedSearchAttributes = TypedSearchAttributes.empty, **how: Any
    ) -> None:
        details = self.details(handover)
        await self._client.start_workflow(
            EXECUTION_WORKFLOW,
            execution_input(handover),
            id=handover.workflow_id or handover.execution_id,
            task_queue=self._task_queue,
            retry_policy=retry_policy(handover.retry, handover.attempts_made),
            search_attributes=TypedSearchAttributes([*search_attributes(handover), *kept]),
            static_summary=handover.summary,
            static_details=details,
            memo={"summary": handover.summary, "details": details},  # they survive a retry, the static ones do not
            priority=Priority(fairness_key=handover.customer_id),
            start_delay=max(handover.not_before - utcnow(), timedelta()) if handover.not_before else None,
            **how,
        )

    async def tell_caller(self, workflow_id: str, execution_id: str) -> None:
        """What it waits for has ended; it looks by itself now and then, so this may be lost."""
        await self._client.get_workflow_handle(workflow_id).signal(CALLED_SIGNAL, execution_id)

    async def nudge(self, of: QueueOf) -> None:
        """The flow's queue looks into the ledger. Signals carry nothing: a lost one is made up for by the next."""
        await self._client.start_workflow(
            QUEUE_WORKFLOW,
            QueueInput(of.instance_flow_id),
            id=queue_workflow_id(of.instance_flow_id),
            task_queue=self._task_queue,
            start_signal=QUEUE_SIGNAL,
            # By this a delete finds what is left of the queue, too.
            search_attributes=TypedSearchAttributes([SearchAttributePair(INSTANCE_ID, of.instance_id)]),
            static_summary=f"queue of {of.instance_flow_id}",
            priority=Priority(fairness_key=of.customer_id),
        )

    def details(self, handover: Handover) -> str:
        base = f"{self._public_url}/v1"
        lines = [
            f"- Execution [{handover.execution_id}]({base}/executions/{handover.execution_id})",
            f"- Instance [{handover.instance_id}]({base}/instances/{handover.instance_id})",
            f"- Customer [{handover.customer_id}]({base}/customers/{handover.customer_id})",
        ]
        if handover.replay_of:
            lines.append(f"- Replay of [{handover.replay_of}]({base}/executions/{handover.replay_of})")
        return "\n".join(lines)


def execution_input(handover: Handover) -> ExecutionInput:
    return ExecutionInput(
        instance_flow_id=handover.instance_flow_id,
        execution_id=handover.execution_id,
        deployment_id=handover.deployment_id,
        retry=handover.retry,
        base_attempt=handover.attempts_made,
        trigger=handover.trigger,
    )


def retry_policy(rule: RetryRule, attempts_made: int = 0) -> RetryPolicy:
    """The workflow says each delay itself (Retry-After may lengthen it), so the interval's cap is the widest."""
    return RetryPolicy(
        initial_interval=max(timedelta(seconds=rule.delay_seconds), MIN_DELAY),
        backoff_coefficient=2.0 if rule.exponential else 1.0,
        maximum_interval=MAX_DELAY,
        maximum_attempts=max(rule.max_attempts - attempts_made, 1),
    )


def search_attributes(handover: Handover) -> TypedSearchAttributes:
    return keywords(attributes(handover))


def attributes(handover: Handover) -> dict[str, str]:
    """Ids only: search attributes are never encrypted."""
    return {
        "CustomerId": handover.customer_id,
        "InstanceId": handover.instance_id,
        "InstanceFlowId": handover.instance_flow_id,
        "IntegrationId": handover.integration_id,
        "IntegrationVersion": str(handover.version_number),
        "Trigger": handover.trigger_kind,
        "ReplayOf": handover.replay_of or "",
    }


def keywords(values: Mapping[str, str]) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items() if value]
    )
