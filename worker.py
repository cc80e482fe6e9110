"""The worker process: open resources, register workflows and activities, run until told to stop, close."""

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
import uvloop
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.context import LogContext
from activities.deletion import DeletionActivities
from activities.deployments import Deployments
from activities.deploys import DeployActivities
from activities.executions import ExecutionActivities
from activities.handover import Starter
from activities.job_starts import JobStarter
from activities.jobs import JobActivities
from activities.pace import Pace
from activities.payloads import Payloads
from activities.schedules import Schedules
from activities.steps import StepActivities
from activities.upkeep import UpkeepActivities, ensure_upkeep
from components.catalogue import builtin_registry
from runtime.codec import data_converter
from runtime.crypto import Keyring
from runtime.http import GuardedHttp
from runtime.logs import configure_logs
from runtime.metrics import served, tell_build
from runtime.settings import Settings, load_settings
from runtime.temporal import bootstrap_namespace, connect, measured_runtime, namespace
from store.blobs import DatabaseBlobs
from store.engine import Database
from store.migrate import ensure_current
from workflows.deletion import DeleteCustomerWorkflow, DeleteInstanceWorkflow
from workflows.deployment import DeployWorkflow
from workflows.execution import ExecutionWorkflow
from workflows.upkeep import UpkeepWorkflow

WORKFLOWS = [ExecutionWorkflow, DeployWorkflow, DeleteInstanceWorkflow, DeleteCustomerWorkflow, UpkeepWorkflow]
ROOMS = ("domain", "workflows", "activities", "components", "runtime", "store", "sqlalchemy", "structlog", "httpx2")
RETENTION = timedelta(days=14)
SHUTDOWN_GRACE = timedelta(seconds=30)
WORKFLOW_TASKS = 30  # at once in one process: short steps run inside them, and a task must end within 10 s

log = structlog.get_logger()


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Works until `stop` is set, then finishes what runs, for up to 30 s."""
    tell_build(settings.commit)
    async with open_worker(settings) as worker, worker:
        with served(settings.metrics_host, settings.metrics_port):  # only now: who answers there works
            log.info("worker_ready", task_queue=settings.task_queue)
            await stop.wait()
            log.info("worker_stopping")


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker with everything it needs, not running yet."""
    database = Database(settings.database_url)
    http = GuardedHttp(settings.allowed_networks)
    try:
        await ensure_current(database)
        keyring = Keyring(settings.keys)
        converter = data_converter(keyring, namespace(settings), DatabaseBlobs(database))
        port = settings.metrics_port
        runtime = measured_runtime(settings.metrics_host, port + 1) if port else None
        client = await connect(settings, converter, runtime=runtime)
        await bootstrap_namespace(client, RETENTION)
        await ensure_upkeep(client, settings.task_queue)
        yield build_worker(settings, client, database, keyring, http)
    finally:
        await http.aclose()
        await database.dispose()


def build_worker(settings: Settings, client: Client, database: Database, keyring: Keyring, http: GuardedHttp) -> Worker:
    registry = builtin_registry()
    queue = settings.task_queue
    deployments = Deployments(database, keyring)
    payloads = Payloads(keyring)
    starter = Starter(client, queue, settings.public_url)
    schedules = Schedules(client, database, queue)
    jobs = JobActivities(database)
    pace = Pace()
    executions = ExecutionActivities(database, keyring, registry, deployments, payloads, settings.public_url, pace)
    steps = StepActivities(database, keyring, registry, http, deployments, pace)
    deploys = DeployActivities(database, keyring, deployments, payloads, starter, schedules, settings.public_url)
    deletion = DeletionActivities(client, database, deployments, payloads, schedules, jobs)
    upkeep = UpkeepActivities(client, database, starter, schedules, JobStarter(client, database, queue))
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS,
        activities=[
            steps.run_step,
            executions.open_execution,
            executions.close_execution,
            deploys.switch_deployment,
            deploys.apply_schedules,
            deploys.start_accepted,
            deletion.plan_customer_removal,
            deletion.accept_remove_flows,
            deletion.await_executions,
            deletion.remove_schedules,
            deletion.stop_executions,
            deletion.remove_executions,
            deletion.remove_instance,
            deletion.remove_customer,
            jobs.end_job,
            upkeep.sweep,
        ],
        interceptors=[LogContext()],
        workflow_runner=workflow_runner(settings.workflow_sandbox),
        max_concurrent_workflow_tasks=WORKFLOW_TASKS,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),  # how long a lost worker's tasks wait for it
        graceful_shutdown_timeout=SHUTDOWN_GRACE,
    )


def workflow_runner(sandboxed: bool) -> SandboxedWorkflowRunner | UnsandboxedWorkflowRunner:
    """The sandbox finds non-determinism, for a third of the worker's time: on in tests, off in production."""
    if not sandboxed:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(SandboxRestrictions.default.with_passthrough_modules(*ROOMS))


def main() -> None:
    """`python -m worker [--metrics-port N]`: settings from the environment, SIGTERM and SIGINT end it."""
    parser = argparse.ArgumentParser(prog="worker")
    parser.add_argument("--metrics-port", type=int, help="Instead of FLOWGRAFT_METRICS_PORT")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    settings = load_settings(**given)
    configure_logs(settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(settings))


async def _main(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_worker(settings, stop)


if __name__ == "__main__":
    main()
