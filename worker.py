"""The worker process: open resources, register workflows and activities, run until told to stop, close."""

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
import uvloop
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.alerting import Alerting
from activities.callbacks import CallbackActivities
from activities.calls import CallActivities
from activities.connections import LiveConnections
from activities.context import LogContext
from activities.deletion import DeletionActivities
from activities.deliveries import DeliveryActivities
from activities.deploy_flows import DeployFlowActivities
from activities.deployments import Deployments
from activities.deploys import DeployActivities
from activities.drains import DrainActivities
from activities.executions import ExecutionActivities
from activities.handover import Starter
from activities.job_starts import JobStarter
from activities.jobs import JobActivities
from activities.log_streams import LogStreamActivities
from activities.outbox import Outbox
from activities.pace import Pace
from activities.payloads import Payloads
from activities.places import places
from activities.polling import PollActivities
from activities.queues import QueueActivities
from activities.reconcile import ReconcileActivities
from activities.recurring import ensure_recurring
from activities.replays import ReplayActivities
from activities.retention import RetentionActivities
from activities.rotation import RotationActivities
from activities.schedules import Schedules
from activities.steps import StepActivities
from activities.targets import TargetSecrets
from activities.upgrades import UpgradeActivities
from activities.upkeep import UpkeepActivities, ensure_upkeep, keep_upkeep
from activities.usage import UsageActivities
from activities.vault import Vault, open_keyring
from activities.waiting import WaitActivities
from activities.watching import WatchActivities, ensure_watch, tell_now
from components.catalogue import builtin_registry
from domain.messages import watch_queue
from runtime.codec import data_converter
from runtime.crypto import Keyring
from runtime.http import GuardedHttp
from runtime.logs import configure_logs
from runtime.metrics import served, tell_build
from runtime.settings import Settings, load_settings
from runtime.smtp import Mailer, parse_smtp
from runtime.temporal import RETENTION, bootstrap_namespace, connect, measured_runtime, namespace
from store.blobs import DatabaseBlobs
from store.engine import Database
from store.migrate import ensure_current
from workflows.deletion import DeleteCustomerWorkflow, DeleteInstanceWorkflow
from workflows.delivery import DeliverWorkflow
from workflows.deployment import DeployFlowsWorkflow, DeployWorkflow
from workflows.drain import DrainWorkflow
from workflows.execution import ExecutionWorkflow
from workflows.log_streams import LogStreamWorkflow
from workflows.queue import QueueWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.replays import ReplayWorkflow
from workflows.retention import RetentionWorkflow
from workflows.rotation import RotateKeysWorkflow
from workflows.upgrades import UpgradeWorkflow
from workflows.upkeep import UpkeepWorkflow
from workflows.usage import UsageWorkflow
from workflows.watch import WatchWorkflow

OF_WATCHER = [WatchWorkflow, DeliverWorkflow, LogStreamWorkflow]
WORKFLOWS = [
    ExecutionWorkflow,
    DeployWorkflow,
    DeployFlowsWorkflow,
    DrainWorkflow,
    QueueWorkflow,
    DeleteInstanceWorkflow,
    DeleteCustomerWorkflow,
    ReconcileWorkflow,
    ReplayWorkflow,
    RetentionWorkflow,
    RotateKeysWorkflow,
    UpgradeWorkflow,
    UpkeepWorkflow,
    UsageWorkflow,
    *OF_WATCHER,
]
ROOMS = ("domain", "workflows", "activities", "components", "runtime", "store", "sqlalchemy", "structlog", "httpx2")
SHUTDOWN_GRACE = timedelta(seconds=30)
UPKEEP_CHECKED_EVERY = 30.0  # seconds
DELIVERIES = 200  # at once in one process: they mostly wait for an answer
WORKFLOW_TASKS = 30  # at once in one process: short steps run inside them, and a task must end within 10 s

log = structlog.get_logger()


async def run_worker(settings: Settings, stop: asyncio.Event, *, watch_only: bool = False) -> None:
    """Works until `stop` is set, then finishes what runs, for up to 30 s."""
    tell_build(settings.commit)
    async with open_workers(settings, watch_only=watch_only) as workers, AsyncExitStack() as working:
        for worker in workers:
            await working.enter_async_context(worker)
        with served(settings.metrics_host, settings.metrics_port):  # only now: who answers there works
            log.info("worker_ready", task_queue=settings.task_queue)
            await stop.wait()
            log.info("worker_stopping")
            await asyncio.gather(*(worker.shutdown() for worker in workers))


@asynccontextmanager
async def open_workers(settings: Settings, *, watch_only: bool) -> AsyncIterator[list[Worker]]:
    """Those of the flows and that of monitors, or the latter alone, with everything they need, not running yet."""
    database = Database(settings.database_url)
    http = GuardedHttp(settings.allowed_networks)
    outward = GuardedHttp(settings.allowed_networks)  # a target that hangs takes no connection away from a flow
    try:
        await ensure_current(database)
        keyring = await open_keyring(database, settings.keys)
        converter = data_converter(keyring, namespace(settings), DatabaseBlobs(database))
        port = settings.metrics_port
        runtime = measured_runtime(settings.metrics_host, port + 1) if port else None
        client = await connect(settings, converter, runtime=runtime)
        await bootstrap_namespace(client, RETENTION)
        await ensure_upkeep(client, settings.task_queue)
        await ensure_recurring(client, settings.task_queue)
        await ensure_watch(client, settings.task_queue)
        outbox = Outbox(database)
        await outbox.open()
        watcher = build_watcher(settings, client, database, keyring, outward, outbox)
        prepare = partial(_prepare, client, settings)
        keeping = asyncio.create_task(keep_upkeep(client, settings.task_queue, prepare, UPKEEP_CHECKED_EVERY))
        try:
            async with outbox.kept(partial(tell_now, client, settings.task_queue)):
                flows = [] if watch_only else build_workers(settings, client, database, keyring, http)
                yield [watcher, *flows]
        finally:
            keeping.cancel()
    finally:
        await outward.aclose()
        await http.aclose()
        await database.dispose()


async def _prepare(client: Client, settings: Settings) -> None:
    await bootstrap_namespace(client, RETENTION)
    await ensure_recurring(client, settings.task_queue)
    await ensure_watch(client, settings.task_queue)


def build_workers(
    settings: Settings, client: Client, database: Database, keyring: Keyring, http: GuardedHttp
) -> list[Worker]:
    """One for activities, one for workflows and their local activities. In a single worker local ones come first: in a
    burst of short steps the others would not begin before it is over, and would be taken for lost."""
    activities = flow_activities(settings, client, database, keyring, http)
    common: dict[str, Any] = {
        "task_queue": settings.task_queue,
        "activities": activities,
        "interceptors": [LogContext()],
        "graceful_shutdown_timeout": SHUTDOWN_GRACE,
    }
    return [
        Worker(client, **common),
        Worker(
            client,
            **common,
            workflows=WORKFLOWS,
            no_remote_activities=True,
            workflow_runner=workflow_runner(settings.workflow_sandbox),
            max_concurrent_workflow_tasks=WORKFLOW_TASKS,
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),  # how long a lost worker's tasks wait for it
        ),
    ]


def flow_activities(
    settings: Settings, client: Client, database: Database, keyring: Keyring, http: GuardedHttp
) -> list[Callable[..., Any]]:
    registry = builtin_registry()
    queue = settings.task_queue
    vault = Vault(keyring)
    deployments = Deployments(database, keyring, vault)
    payloads = Payloads(keyring)
    starter = Starter(client, queue, settings.public_url)
    schedules = Schedules(client, database, queue)
    jobs = JobActivities(database)
    pace = Pace()
    executions = ExecutionActivities(
        database, keyring, registry, deployments, payloads, settings.public_url, pace, starter
    )
    steps = StepActivities(database, keyring, registry, deployments, pace, LiveConnections(database, vault, http))
    deploys = DeployActivities(database, vault, deployments, payloads, starter, schedules, settings.public_url)
    deletion = DeletionActivities(client, database, deployments, payloads, schedules, jobs)
    upkeep = UpkeepActivities(client, database, starter, schedules, JobStarter(client, database, queue))
    rotation = RotationActivities(database, keyring, vault, schedules, jobs, places(namespace(settings)))
    upgrades = UpgradeActivities(database, vault)
    drains = DrainActivities(database, starter)
    queues = QueueActivities(database, starter)
    calls = CallActivities(database, keyring, deployments, payloads, starter)
    return [
        steps.run_step,
        executions.open_execution,
        executions.close_execution,
        deploys.switch_deployment,
        deploys.apply_schedules,
        deploys.start_accepted,
        DeployFlowActivities(database).look_at_flows,
        drains.sift_held,
        drains.release_held,
        queues.next_in_queue,
        WaitActivities(database).wait_for_connection,
        PollActivities(database, keyring, payloads).take_polled,
        CallbackActivities(database, keyring).look_for_callback,
        calls.call_flow,
        calls.look_at_called,
        *deletion.all(),
        rotation.plan_rotation,
        rotation.rotate_batch,
        jobs.end_job,
        *ReplayActivities(database, deployments, payloads, starter).all(),
        *upgrades.all(),
        *RetentionActivities(database, settings.retention).all(),
        *UsageActivities(database, settings.retention).all(),
        *ReconcileActivities(client, database, queue, settings.retention).all(),
        upkeep.sweep,
    ]


def build_watcher(
    settings: Settings, client: Client, database: Database, keyring: Keyring, http: GuardedHttp, outbox: Outbox
) -> Worker:
    """On a task queue of its own: it goes on however busy the flows are, and where nobody works on them."""
    queue = settings.task_queue
    alerting = Alerting(settings.public_url)
    watching = WatchActivities(client, database, outbox, alerting, queue)
    deliveries = DeliveryActivities(database, TargetSecrets(Vault(keyring)), http, mailer(settings))
    log_streams = LogStreamActivities(database, Vault(keyring), http)
    return Worker(
        client,
        task_queue=watch_queue(queue),
        workflows=OF_WATCHER,
        activities=[watching.watch, deliveries.deliver, log_streams.send_log_lines],
        interceptors=[LogContext()],
        workflow_runner=workflow_runner(settings.workflow_sandbox),
        max_concurrent_activities=DELIVERIES,
        max_concurrent_workflow_task_polls=2,
        max_concurrent_activity_task_polls=2,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
        graceful_shutdown_timeout=SHUTDOWN_GRACE,
    )


def mailer(settings: Settings) -> Mailer:
    url = settings.smtp_url
    return Mailer(parse_smtp(url.get_secret_value()) if url else None, settings.smtp_from)


def workflow_runner(sandboxed: bool) -> SandboxedWorkflowRunner | UnsandboxedWorkflowRunner:
    """The sandbox finds non-determinism, for a third of the worker's time: on in tests, off in production."""
    if not sandboxed:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(SandboxRestrictions.default.with_passthrough_modules(*ROOMS))


def main() -> None:
    """`python -m worker [--metrics-port N] [--watch-only]`: settings from the environment, signals end it."""
    parser = argparse.ArgumentParser(prog="worker")
    parser.add_argument("--metrics-port", type=int, help="Instead of FLOWGRAFT_METRICS_PORT")
    parser.add_argument("--watch-only", action="store_true", help="No flows: monitors and their messages")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    watch_only = given.pop("watch_only")
    settings = load_settings(**given)
    configure_logs(settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(settings, watch_only))


async def _main(settings: Settings, watch_only: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_worker(settings, stop, watch_only=watch_only)


if __name__ == "__main__":
    main()
