"""Every type that crosses a Temporal boundary. Fields are only added, with a default; never removed or renamed.

No secrets: a `secret: true` config value travels as a marker (`domain/values.py`), a connection as its key.
Values over 64 KiB become references inside the data converter (`runtime/codec.py`), unseen here.
"""

from dataclasses import dataclass, field
from typing import Any

from domain.executions import RetryRule

EXECUTION_WORKFLOW = "Execution"
DEPLOY_WORKFLOW = "DeployInstance"
DEPLOY_FLOWS_WORKFLOW = "DeployFlows"
DRAIN_WORKFLOW = "DrainInstance"
DELETE_WORKFLOW = "DeleteInstance"
DELETE_CUSTOMER_WORKFLOW = "DeleteCustomer"
UPGRADE_WORKFLOW = "UpgradeInstances"
REPLAY_WORKFLOW = "ReplayExecutions"
UPKEEP_WORKFLOW = "Upkeep"
ROTATE_WORKFLOW = "RotateKeys"
RETENTION_WORKFLOW = "Retention"
USAGE_WORKFLOW = "Usage"
RECONCILE_WORKFLOW = "Reconcile"
WATCH_WORKFLOW = "Watch"
QUEUE_WORKFLOW = "FlowQueue"
DELIVER_WORKFLOW = "Deliver"
LOG_STREAM_WORKFLOW = "LogStream"
DELIVERY_SIGNAL = "delivery"
UPGRADE_SIGNAL = "look"
REPLAY_SIGNAL = "look"
QUEUE_SIGNAL = "look"
TURN_SIGNAL = "turn"
CONNECTION_SIGNAL = "connection"
CALLED_SIGNAL = "called"
CALLBACK_SIGNAL = "callback"
LOG_STREAM_SIGNAL = "look"
UPKEEP_SCHEDULE = "flowgraft-upkeep"
WATCH_SCHEDULE = "flowgraft-watch"


def deploy_workflow_id(instance_id: str) -> str:
    """One for all deploys of an instance: Temporal sees to it that one runs at a time."""
    return f"deploy-{instance_id}"


def queue_workflow_id(instance_flow_id: str) -> str:
    return f"queue_{instance_flow_id}"


def watch_queue(task_queue: str) -> str:
    """Of sweeps for monitors and of what is sent: they go on when nobody works on the flows."""
    return f"{task_queue}-watch"


@dataclass
class ExecutionInput:
    """All that an attempt needs, because signals do not survive a Temporal retry."""

    instance_flow_id: str
    execution_id: str = ""  # empty: a schedule's start, whose id is computed from its nominal time
    deployment_id: str = ""  # empty: the deployment current when it opens
    retry: RetryRule = field(default_factory=RetryRule)
    base_attempt: int = 0  # attempts made before this workflow chain began
    trigger: dict[str, Any] | None = None  # the payload when small, else read from the acceptance row


@dataclass
class Failure:
    """Why an attempt or a step failed, for people (`code`, `message`, `step`) and for the retry rules (the rest)."""

    code: str
    message: str
    step: str | None = None
    transient: bool = False
    permanent: bool = False
    retry_after: float | None = None  # seconds
    details: dict[str, Any] | None = None
    connection_id: str | None = None  # it may go on as soon as this connection works again


@dataclass
class StepRecord:
    """A control step (branch, loop, sleep, stop, break) as the workflow kept it. Times are RFC 3339."""

    path: str
    key: str
    name: str
    kind: str
    position: int  # start order within the attempt
    status: str
    started_at: str
    ended_at: str | None = None
    iteration: list[int] = field(default_factory=list)
    inputs: Any = None
    output: Any = None
    branch: str | None = None
    error: Failure | None = None


@dataclass
class OpenInput:
    instance_flow_id: str
    execution_id: str
    deployment_id: str
    attempt: int
    max_attempts: int
    workflow_id: str
    run_id: str
    nominal_at: str | None = None  # a schedule's start: RFC 3339
    with_trigger: bool = False  # the start arguments did not hold the payload
    edition: int = 0  # of the retry that it was begun with


@dataclass
class ActionHint:
    """What the conductor must know of an action used by the flow."""

    local: bool
    lazy: list[str] = field(default_factory=list)


@dataclass
class Callbacks:
    """What addresses for callbacks are made of."""

    url: str
    secret: str  # of this attempt


@dataclass
class Opened:
    """`proceed` false: the execution is closed already, skipped, or gone; the workflow ends at once."""

    proceed: bool
    flow: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    customer: dict[str, Any] = field(default_factory=dict)
    instance: dict[str, Any] = field(default_factory=dict)
    flows: dict[str, Any] = field(default_factory=dict)
    actions: dict[str, ActionHint] = field(default_factory=dict)
    trigger: dict[str, Any] | None = None
    deployment_id: str = ""
    resume_from: str | None = None  # a replay from the failed step: whose outputs are kept
    local_first: list[str] = field(default_factory=list)  # keys of steps expected to be short
    instance_flow_id: str = ""
    parked: bool = False  # its next attempt waits for a slot of its queue, until the signal `turn`
    polls: bool = False  # it has nothing yet to run with: that is polled for, from `cursor` on
    cursor: Any = None
    waits: bool = False  # for a connection that only a person can mend
    callbacks: Callbacks | None = None  # of a flow that waits to be called back


@dataclass
class RunStepInput:
    execution_id: str
    attempt: int
    deployment_id: str
    path: str
    key: str
    name: str
    position: int
    started_at: str
    timeout_seconds: float
    action: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    lazy: dict[str, Any] = field(default_factory=dict)  # input name → {"template": …, "bindings": {path: value}}
    connection: str | None = None
    iteration: list[int] = field(default_factory=list)
    tries: int = 1  # how often the step may be tried, lost workers not counted
    delay_seconds: float = 1.0
    exponential: bool = False
    records: list[StepRecord] = field(default_factory=list)
    resume_from: str | None = None
    flow: str = ""  # the flow's key
    instance_flow_id: str = ""
    instance_id: str = ""
    customer_id: str = ""
    waits: bool = False  # rather than fails, where only a person can mend its connection


@dataclass
class WaitInput:
    execution_id: str
    attempt: int
    connection_id: str
    probe: bool = False  # the wait has been long: where a try may tell, it is worth one
    over: bool = False  # it goes on without the connection


@dataclass
class CallbackInput:
    """A step that waits to be called back. `over`: its time is up."""

    execution_id: str
    attempt: int
    path: str
    over: bool = False
    resume_from: str | None = None


@dataclass
class CallbackSight:
    arrived: bool
    value: dict[str, Any] | None = None


@dataclass
class PollInput:
    """What a poll has returned, and where in it things are."""

    execution_id: str
    instance_flow_id: str
    instance_id: str
    output: Any
    items: str
    id: str | None = None
    cursor: str | None = None


@dataclass
class Polled:
    """`trigger` none: there was nothing new."""

    trigger: dict[str, Any] | None = None


@dataclass
class CallInput:
    """A step that calls another flow of its instance."""

    execution_id: str
    attempt: int
    path: str
    flow: str  # the key of the called one
    inputs: dict[str, Any] = field(default_factory=dict)
    waits: bool = True
    resume_from: str | None = None


@dataclass
class Called:
    """`kept`: a replay from the failed step takes over what the original's step came to, `value`."""

    execution_id: str = ""
    kept: bool = False
    value: Any = None


@dataclass
class CallSight:
    """How a called execution is. `value` is what its flow came to, `failure` why it did not."""

    ended: bool
    value: Any = None
    failure: Failure | None = None


@dataclass
class RunStepResult:
    output: Any = None


@dataclass
class CloseInput:
    """`status` retrying means a failed attempt that waits until `next_attempt_at` (RFC 3339)."""

    instance_flow_id: str
    execution_id: str
    deployment_id: str
    attempt: int
    max_attempts: int
    status: str
    workflow_id: str
    run_id: str
    failure: Failure | None = None
    next_attempt_at: str | None = None
    reason: str | None = None
    nominal_at: str | None = None
    records: list[StepRecord] = field(default_factory=list)
    edition: int = 0


@dataclass
class DeployInput:
    instance_id: str
    job_id: str
    principal: str
    version_id: str = ""  # moves the instance to this version, if it can be deployed; empty: the one it has


@dataclass
class DeployResult:
    deployment_id: str
    version: int
    webhook_urls: dict[str, str] = field(default_factory=dict)
    deploy_executions: list[str] = field(default_factory=list)
    once_executions: list[str] = field(default_factory=list)  # of schedules that fire once, unless they are held


@dataclass
class DeployFlowsInput:
    """What follows a deploy that stands already."""

    instance_id: str
    job_id: str
    result: DeployResult


@dataclass
class FlowOutcome:
    """How the execution of a deploy-trigger flow is, or how it has ended."""

    execution_id: str
    flow: str
    status: str
    error: Failure | None = None


@dataclass
class DeployFlowsReport:
    ended: bool
    outcomes: list[FlowOutcome] = field(default_factory=list)


@dataclass
class DrainInput:
    """`up_to`: the hold number of the pause that has ended; what is held under a later one came in afterwards."""

    instance_id: str
    job_id: str
    principal: str
    rate_per_second: float
    keep: str
    up_to: int
    sifted: bool = False  # what is not kept has been discarded


@dataclass
class Drained:
    """`over`: nothing is held any more, or the instance was paused again."""

    over: bool


@dataclass
class DeleteInput:
    """Deletes an instance, or a customer with its instances."""

    object_id: str
    job_id: str
    principal: str


@dataclass
class DeletePlan:
    """What a delete found: the executions of remove-trigger flows that it accepted, the instances of a customer."""

    remove_executions: list[str] = field(default_factory=list)
    instance_ids: list[str] = field(default_factory=list)
    more: bool = False  # of its instances than are named here


@dataclass
class RotateInput:
    """A rotation of keys, and how far it is: it continues as new with what it has done."""

    job_id: str
    primary: str  # the key of the ring that everything shall be under
    data_keys: bool = False  # new data keys too
    customer_id: str | None = None  # this customer's data key and nothing else
    began_at: str = ""  # RFC 3339: data keys from before then are replaced
    stages: list[str] = field(default_factory=list)  # empty: not planned yet
    at: int = 0
    cursor: str = ""  # within the stage
    round: int = 1
    done: int = 0
    failed: int = 0  # values that cannot be decrypted
    kept: int = 0  # replaced data keys that values are still under


@dataclass
class RotateBatch:
    """`cursor` empty: the stage is over."""

    cursor: str
    done: int = 0
    failed: int = 0
    kept: int = 0


@dataclass
class JobEnd:
    job_id: str
    state: str
    failure: Failure | None = None
    result: dict[str, Any] | None = None
    stage: str | None = None


@dataclass
class LogStreamInput:
    stream_id: str


@dataclass
class LogStreamLook:
    """`over`: the stream is gone or disabled. Else there is more to send, or may be, after so many seconds."""

    over: bool = False
    again_in_seconds: float = 0.0


@dataclass
class QueueInput:
    instance_flow_id: str


@dataclass
class QueueStart:
    """An execution that has a slot: what its start needs, as `activities/handover.py` has it."""

    execution_id: str
    given: ExecutionInput
    attributes: dict[str, str]
    customer_id: str
    summary: str
    details: str
    parked: bool = False  # it has begun before: its workflow waits to be told
    workflow_id: str | None = None  # where it is not the execution's id: a schedule's


@dataclass
class QueueTurn:
    begun: list[QueueStart] = field(default_factory=list)
    more: bool = False  # free slots may be left
    over: bool = True  # nothing waits that may begin some time soon
