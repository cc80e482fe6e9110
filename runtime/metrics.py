"""Every metric of the product, and the port of its own that may serve them.

Labels are few and bounded: keys of integrations and flows, components, outcomes. The ids of customers, instances and
executions never are labels; they stand in the logs.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from runtime.version import version

EXECUTION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43_200, 86_400)
STEP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LAG_BUCKETS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

BUILD_INFO = Gauge(
    "flowgraft_build_info",
    "1, for the version that runs and what it was built from",
    ["version", "commit"],
    registry=REGISTRY,
)

# The API

HTTP_REQUESTS = Counter(
    "http_requests_total",
    "Requests that were answered, by their route's pattern",
    ["method", "handler", "status"],
    registry=REGISTRY,
)
HTTP_SECONDS = Histogram(
    "http_request_duration_seconds",
    "From a request's arrival to the end of its answer",
    ["method", "handler"],
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
WEBHOOK_REQUESTS = Counter(
    "flowgraft_webhook_requests_total", "Deliveries, by the status code of their answer", ["code"], registry=REGISTRY
)
WEBHOOK_ACK_SECONDS = Histogram(
    "flowgraft_webhook_ack_duration_seconds",
    "How long it took to store and acknowledge a delivery that was accepted",
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
INSTANCES = Gauge(
    "flowgraft_instances",
    "Instances by state, as the database has them: every API process says the same, so take the maximum",
    ["state"],
    registry=REGISTRY,
)

# The worker

EXECUTIONS_STARTED = Counter(
    "flowgraft_executions_started_total",
    "Executions whose first attempt has begun",
    ["integration", "flow", "trigger"],
    registry=REGISTRY,
)
EXECUTIONS_FINISHED = Counter(
    "flowgraft_executions_finished_total",
    "Executions that have come to their end",
    ["integration", "flow", "status"],
    registry=REGISTRY,
)
EXECUTION_SECONDS = Histogram(
    "flowgraft_execution_duration_seconds",
    "From the begin of the first attempt to the end, pauses between attempts included",
    ["integration", "flow", "status"],
    buckets=EXECUTION_BUCKETS,
    registry=REGISTRY,
)
STEP_ATTEMPTS = Counter(
    "flowgraft_step_attempts_total",
    "Tries of steps; `again` means that it failed and another try follows",
    ["component", "action", "outcome"],
    registry=REGISTRY,
)
TOKEN_REQUESTS = Counter(
    "flowgraft_token_requests_total",
    "Renewals of OAuth tokens: `renewed`, `passing` (may be tried again), or the code of what was refused",
    ["outcome"],
    registry=REGISTRY,
)
STEP_SECONDS = Histogram(
    "flowgraft_step_duration_seconds",
    "How long one try of a step took, its record not included",
    ["component", "action", "outcome"],
    buckets=STEP_BUCKETS,
    registry=REGISTRY,
)
SCHEDULE_LAG_SECONDS = Histogram(
    "flowgraft_schedule_lag_seconds",
    "From a schedule's nominal time to when its execution was opened",
    ["integration", "flow"],
    buckets=LAG_BUCKETS,
    registry=REGISTRY,
)


REMOVED = Counter(
    "flowgraft_removed_total",
    "What was removed because it is kept no longer: executions, payloads, step outputs (by execution), log lines",
    ["kind"],
    registry=REGISTRY,
)
DIFFERENCES = Counter(
    "flowgraft_reconcile_differences_total",
    "Executions of which the ledger and Temporal said different things; each was mended. The budget is 0",
    ["kind"],
    registry=REGISTRY,
)
IMBALANCE = Gauge(
    "flowgraft_conservation_imbalance",
    "Accepted executions that are neither ended nor in flight nor held, as last counted: every API process says the "
    "same, so take the maximum. 0 when the books balance",
    registry=REGISTRY,
)
EXECUTIONS_OPEN = Gauge(
    "flowgraft_executions_open",
    "Executions that have not ended, by status and what they wait for, as the database has them: every API process "
    "says the same, so take the maximum",
    ["status", "reason"],
    registry=REGISTRY,
)
OLDEST_OPEN_SECONDS = Gauge(
    "flowgraft_executions_open_oldest_seconds",
    "How long ago the oldest of those was accepted",
    ["status", "reason"],
    registry=REGISTRY,
)
EXECUTIONS_PARKED = Gauge(
    "flowgraft_executions_parked",
    "Executions that have failed for good and that their queue waits for, as the database has them",
    registry=REGISTRY,
)
RETENTION_LAG_SECONDS = Gauge(
    "flowgraft_retention_lag_seconds",
    "By how much the oldest ended execution has been kept longer than anything is to be kept. 0 when nothing is late",
    registry=REGISTRY,
)


def tell_build(commit: str) -> None:
    """Once per process."""
    BUILD_INFO.labels(version(), commit).set(1)


@contextmanager
def served(host: str, port: int | None) -> Iterator[None]:
    """On a port of its own, from a thread; without a port nowhere."""
    if port is None:
        yield
        return
    server, thread = start_http_server(port, host, REGISTRY)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
