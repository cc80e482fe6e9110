"""Every type that crosses a Temporal boundary. Fields are only added, with a default; never removed or renamed.

No secrets: a `secret: true` config value travels as a marker (`domain/values.py`), a connection as its key.
Values over 64 KiB become references inside the data converter (`runtime/codec.py`), unseen here.
"""

from dataclasses import dataclass, field
from typing import Any

from domain.executions import RetryRule

EXECUTION_WORKFLOW = "Execution"
DEPLOY_WORKFLOW = "DeployInstance"
DELETE_WORKFLOW = "DeleteInstance"
DELETE_CUSTOMER_WORKFLOW = "DeleteCustomer"
UPKEEP_WORKFLOW = "Upkeep"
DELIVERY_SIGNAL = "delivery"
UPKEEP_SCHEDULE = "flowgraft-upkeep"


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


@dataclass
class ActionHint:
    """What the conductor must know of an action used by the flow."""

    local: bool
    lazy: list[str] = field(default_factory=list)


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


@dataclass
class DeployInput:
    instance_id: str
    job_id: str
    principal: str


@dataclass
class DeployResult:
    deployment_id: str
    version: int
    webhook_urls: dict[str, str] = field(default_factory=dict)
    deploy_executions: list[str] = field(default_factory=list)


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


@dataclass
class JobEnd:
    job_id: str
    state: str
    failure: Failure | None = None
    result: dict[str, Any] | None = None


@dataclass
class SweepReport:
    started: int = 0
    checked: int = 0
    mended: int = 0
    failed: int = 0
