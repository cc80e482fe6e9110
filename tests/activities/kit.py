"""Every activity on one database, wired as worker.py does it, with scripted HTTP and without a worker."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import pytest
from sqlalchemy import select
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.configuration import Configuration
from activities.connections import LiveConnections
from activities.deletion import DeletionActivities
from activities.deployments import Deployments
from activities.deploys import DeployActivities
from activities.drains import DrainActivities
from activities.executions import ExecutionActivities
from activities.handover import Starter
from activities.job_starts import JobStarter
from activities.jobs import JobActivities
from activities.pace import Pace
from activities.payloads import Payloads
from activities.replays import ReplayActivities
from activities.schedules import Schedules
from activities.steps import StepActivities
from activities.upgrades import UpgradeActivities
from activities.upkeep import UpkeepActivities
from activities.vault import Vault
from components.base import Component, Registry
from components.catalogue import builtin_registry
from domain.definitions.model import Definition
from domain.messages import CloseInput, OpenInput, RunStepInput
from runtime.http import GuardedHttp
from runtime.settings import Settings
from store.engine import Database
from store.executions import Acceptance, Executions
from store.tables import Base, ExecutionRow, LogRow, StepRow
from tests.factories import Deployed, deployed, execution
from tests.fakes import ScriptedHttp
from tests.fixtures.temporal import KEYRING
from worker import build_workers

PUBLIC_URL = "https://flowgraft.example.com"


@dataclass
class Kit:
    """`client` only where a test needs Temporal."""

    database: Database
    http: ScriptedHttp = field(default_factory=ScriptedHttp)
    client: Client | None = None
    task_queue: str = "unused"
    plugins: tuple[Component, ...] = ()

    def __post_init__(self) -> None:
        registry = Registry([*builtin_registry().components, *self.plugins])
        self.payloads = Payloads(KEYRING)
        self.vault = Vault(KEYRING)
        self.configuration = Configuration(self.vault)
        self.deployments = Deployments(self.database, KEYRING, self.vault)
        self.jobs = JobActivities(self.database)
        self.pace = Pace()
        self.executions = ExecutionActivities(
            self.database, KEYRING, registry, self.deployments, self.payloads, PUBLIC_URL, self.pace
        )
        self.connections = LiveConnections(self.database, self.vault, self.http)
        self.steps = StepActivities(self.database, KEYRING, registry, self.deployments, self.pace, self.connections)
        self.upgrades = UpgradeActivities(self.database, self.vault)
        self.environment = ActivityEnvironment()

    @property
    def temporal(self) -> Client:
        assert self.client is not None
        return self.client

    @property
    def starter(self) -> Starter:
        return Starter(self.temporal, self.task_queue, PUBLIC_URL)

    @property
    def schedules(self) -> Schedules:
        return Schedules(self.temporal, self.database, self.task_queue)

    @property
    def deploys(self) -> DeployActivities:
        starter, schedules = self.starter, self.schedules
        vault, deployments, payloads = self.vault, self.deployments, self.payloads
        return DeployActivities(self.database, vault, deployments, payloads, starter, schedules, PUBLIC_URL)

    @property
    def drains(self) -> DrainActivities:
        return DrainActivities(self.database, self.starter)

    @property
    def replays(self) -> ReplayActivities:
        return ReplayActivities(self.database, self.deployments, self.payloads, self.starter)

    @property
    def deletion(self) -> DeletionActivities:
        return DeletionActivities(
            self.temporal, self.database, self.deployments, self.payloads, self.schedules, self.jobs
        )

    @property
    def upkeep(self) -> UpkeepActivities:
        starts = JobStarter(self.temporal, self.database, self.task_queue)
        return UpkeepActivities(self.temporal, self.database, self.starter, self.schedules, starts)

    async def step(self, message: RunStepInput) -> Any:
        """Runs a step as its activity; its output."""
        payload = DataConverter.default.payload_converter.to_payload(message)
        return (await self.environment.run(self.steps.run_step, [RawValue(payload)])).output

    async def step_fails(self, message: RunStepInput) -> ApplicationError:
        with pytest.raises(ApplicationError) as caught:
            await self.step(message)
        return caught.value

    async def made(self, definition: Definition, **of_instance: Any) -> Deployed:
        async with self.database.transaction() as session:
            return await deployed(session, definition, **of_instance)

    async def accepted(self, made: Deployed, **given: Any) -> ExecutionRow:
        row = execution(made.instance, made.flow, **given)
        async with self.database.transaction() as session:
            await Executions(session).accept(Acceptance(row))
        return row

    async def execution(self, execution_id: str) -> ExecutionRow:
        async with self.database.snapshot() as session:
            return await session.get_one(ExecutionRow, execution_id)

    async def step_row(self, execution_id: str, path: str, attempt: int = 1) -> StepRow:
        async with self.database.snapshot() as session:
            return await session.get_one(StepRow, (execution_id, attempt, path))

    async def rows(self, table: type[Base]) -> list[Any]:
        async with self.database.snapshot() as session:
            return list(await session.scalars(select(table)))

    async def lines(self, execution_id: str) -> list[str]:
        async with self.database.snapshot() as session:
            query = select(LogRow.message).where(LogRow.execution_id == execution_id).order_by(LogRow.id)
            return list(await session.scalars(query))


def definition(*flows: dict[str, Any], config: list[dict[str, Any]] | None = None) -> Definition:
    """Of flows in a few words; `config` are the fields of its one page."""
    usual = {"key": "hello", "name": "Hello", "trigger": {"type": "webhook"}, "steps": [{"key": "a", "sleep": "1ms"}]}
    made = {"schema": "flowgraft/v1", "key": "greeter", "name": "Greeter", "flows": [usual | flow for flow in flows]}
    return Definition.model_validate(made | {"config": [{"page": "All", "fields": config or []}]})


def run_step_input(row: ExecutionRow, action: str, inputs: dict[str, Any], **given: Any) -> RunStepInput:
    key = given.get("path", "step")
    defaults: dict[str, Any] = {
        "execution_id": row.id,
        "attempt": 1,
        "deployment_id": row.deployment_id,
        "instance_flow_id": row.instance_flow_id,
        "instance_id": row.instance_id,
        "customer_id": row.customer_id,
        "path": "step",
        "key": key,
        "name": key,
        "position": 1,
        "started_at": row.queued_at.isoformat(),
        "timeout_seconds": 10.0,
        "action": action,
        "inputs": inputs,
    }
    return RunStepInput(**defaults | given)


def open_input(row: ExecutionRow, **given: Any) -> OpenInput:
    defaults: dict[str, Any] = {
        "instance_flow_id": row.instance_flow_id,
        "execution_id": row.id,
        "deployment_id": row.deployment_id,
        "attempt": 1,
        "max_attempts": 3,
        "workflow_id": row.id,
        "run_id": "run-1",
    }
    return OpenInput(**defaults | given)


def close_input(row: ExecutionRow, status: str, **given: Any) -> CloseInput:
    usual = {
        name: value for name, value in asdict(open_input(row)).items() if name not in ("nominal_at", "with_trigger")
    }
    return CloseInput(**usual | {"status": status} | given)


@asynccontextmanager
async def working(kit: Kit) -> AsyncIterator[None]:
    """The real worker, on the kit's task queue, with its scripted HTTP."""
    settings = Settings(database_url=kit.database.url, task_queue=kit.task_queue, public_url=PUBLIC_URL)
    workers = build_workers(settings, kit.temporal, kit.database, KEYRING, cast(GuardedHttp, kit.http))
    async with AsyncExitStack() as working_ones:
        for worker in workers:
            await working_ones.enter_async_context(worker)
        yield
