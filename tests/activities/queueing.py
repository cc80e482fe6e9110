"""A flow's queue on the ledger, and what may happen to it: deliveries, looks, ends, each at a call."""

from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import update
from temporalio.client import Client

from activities.executions import ExecutionActivities
from activities.handover import Starter
from activities.queues import QueueActivities
from components.catalogue import builtin_registry
from domain.definitions.model import Concurrency
from domain.executions import Status
from domain.messages import QueueInput, QueueStart
from domain.queues import QUEUED_BEHIND, QueueRule, settings_of
from store.queues import QueueOf
from store.tables import ExecutionRow, InstanceFlowRow
from tests.activities.kit import PUBLIC_URL, Kit, close_input, definition, open_input
from tests.factories import Deployed
from tests.fixtures.temporal import KEYRING


class Told(Starter):
    """Notes which queues it would have told."""

    def __init__(self) -> None:
        super().__init__(cast(Client, None), "unused", PUBLIC_URL)
        self.queues: list[str] = []

    async def nudge(self, of: QueueOf) -> None:
        self.queues.append(of.instance_flow_id)


@dataclass
class Queue:
    kit: Kit
    made: Deployed
    rule: QueueRule
    told: Told = field(default_factory=Told)
    rows: dict[str, ExecutionRow] = field(default_factory=dict)  # as accepted, in order
    begun: list[str] = field(default_factory=list)  # first attempts, in order

    def __post_init__(self) -> None:
        self.activities = QueueActivities(self.kit.database, self.told)
        registry = builtin_registry()
        kit = self.kit
        self.executions = ExecutionActivities(
            kit.database, KEYRING, registry, kit.deployments, kit.payloads, PUBLIC_URL, kit.pace, self.told
        )

    async def accept(self, key: str = "", **given: Any) -> ExecutionRow:
        usual = {"queue_key": key if self.rule.per_key else "", "reason": QUEUED_BEHIND, "max_attempts": 3}
        row = await self.kit.accepted(self.made, **usual | given)
        self.rows[row.id] = row
        return row

    async def look(self) -> list[str]:
        """The starts that it would have made."""
        return [each.execution_id for each in await self.turn()]

    async def turn(self) -> list[QueueStart]:
        message = QueueInput(self.made.flow.id)
        turn = await self.kit.environment.run(self.activities.next_in_queue, message)
        self.begun += [each.execution_id for each in turn.begun if not each.parked]
        return turn.begun

    async def open(self, execution_id: str) -> bool:
        """Whether it goes on, rather than wait for a slot."""
        row = await self.kit.execution(execution_id)
        attempt = row.attempt + (row.status in (Status.RETRYING, Status.QUEUED))
        return await self.open_as(row, attempt=attempt)

    async def open_as(self, row: ExecutionRow, **given: Any) -> bool:
        opened = await self.kit.environment.run(self.executions.open_execution, open_input(row, **given))
        return not opened.parked

    async def close(self, execution_id: str, status: str) -> None:
        row = await self.kit.execution(execution_id)
        message = close_input(row, status, attempt=row.attempt)
        await self.kit.environment.run(self.executions.close_execution, message)

    async def in_state(self, *statuses: str) -> list[str]:
        return [row.id for row in await self.all() if row.status in statuses]

    async def all(self) -> list[ExecutionRow]:
        return sorted(await self.kit.rows(ExecutionRow), key=lambda row: row.id)

    async def set(self, table: Any, row_id: str, **values: Any) -> None:
        async with self.kit.database.transaction() as session:
            await session.execute(update(table).where(table.id == row_id).values(**values))


async def queue(kit: Kit, **concurrency: Any) -> Queue:
    """Of a customer of its own; without a mode the flow is parallel. Its version has two more, `second` and `third`."""
    settings = settings_of(Concurrency(**concurrency))
    made = await kit.made(definition({"concurrency": concurrency}, {"key": "second"}, {"key": "third"}))
    made_queue = Queue(kit, made, QueueRule.of(settings))
    await made_queue.set(InstanceFlowRow, made.flow.id, concurrency=settings)
    return made_queue
