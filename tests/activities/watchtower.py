"""A monitored installation: the kit with an outbox, its dispatcher and deliveries, without a worker."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from temporalio.worker import Worker

from activities.alerting import Alerting
from activities.conditions import ConditionLook
from activities.deliveries import DeliveryActivities
from activities.dispatch import Dispatcher
from activities.outbox import Outbox
from activities.targets import Credentials, TargetSecrets
from activities.watching import WatchActivities
from domain.messages import watch_queue
from domain.sweeps import Delivered, DeliverInput
from runtime.smtp import Email, Mailer
from store.dialect import table_of
from store.tables import (
    AlertRow,
    Base,
    ConnectionRow,
    DeliveryAttemptRow,
    DeliveryRow,
    EventEndpointRow,
    MonitorRow,
    OutboxRow,
    TargetRow,
)
from tests.activities.kit import PUBLIC_URL, Kit
from tests.factories import STAMPS, an_id, event_endpoint, monitor, saved, target
from workflows.delivery import DeliverWorkflow
from workflows.watch import WatchWorkflow

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class NotedMails(Mailer):
    """Takes everything, unless it is told what to raise."""

    def __init__(self) -> None:
        super().__init__(None, None)
        self.sent: list[Email] = []
        self.fail: Exception | None = None

    async def send(self, email: Email) -> None:
        self.sent.append(email)
        if self.fail is not None:
            raise self.fail


def shared_connection(**given: Any) -> ConnectionRow:
    """The organisation's."""
    usual: dict[str, Any] = {"id": an_id("conn"), "kind": "http/bearer", "name": "Shop API", "owner": "organization"}
    usual |= {"status": "active", "token_version": 0, "revision": 1}
    return ConnectionRow(**STAMPS | usual | given)


@dataclass
class Tower:
    kit: Kit
    mails: NotedMails = field(default_factory=NotedMails)

    def __post_init__(self) -> None:
        database = self.kit.database
        self.outbox = Outbox(database)
        self.alerting = Alerting(PUBLIC_URL)
        self.dispatcher = Dispatcher(database, self.alerting)
        self.secrets = TargetSecrets(self.kit.vault)
        self.deliveries = DeliveryActivities(database, self.secrets, self.kit.http, self.mails)

    @property
    def watching(self) -> WatchActivities:
        kit = self.kit
        return WatchActivities(kit.temporal, kit.database, self.outbox, self.alerting, kit.task_queue)

    async def monitor(self, *triggers: dict[str, Any], targets: int = 1, **given: Any) -> MonitorRow:
        """Known to the outbox from now on."""
        row = monitor(*triggers, **given)
        await saved(self.kit.database, row, *(target(row, position=each) for each in range(targets)))
        await self.outbox.open()
        return row

    async def endpoint(self, *events: str, **given: Any) -> EventEndpointRow:
        row = event_endpoint(*events, **given)
        await saved(self.kit.database, row)
        async with self.kit.database.transaction() as session:
            to = target(row)
            session.add(to)
            await self.secrets.seal(session, to, Credentials(SECRET))
        await self.outbox.open()
        return row

    async def look(self, **given: Any) -> int:
        await self.outbox.refresh()
        return await ConditionLook(self.kit.database, self.alerting, self.outbox.looked_for, 20.0).look(**given)

    async def deliver(self, delivery_id: str) -> Delivered:
        delivered: Delivered = await self.kit.environment.run(self.deliveries.deliver, DeliverInput(delivery_id))
        return delivered

    async def rows(self, table: type[Base]) -> list[Any]:
        async with self.kit.database.snapshot() as session:
            return list(await session.scalars(select(table).order_by(*table_of(table).primary_key.columns)))

    async def facts(self) -> list[OutboxRow]:
        return await self.rows(OutboxRow)

    async def alerts(self) -> list[AlertRow]:
        return await self.rows(AlertRow)

    async def sent(self) -> list[DeliveryRow]:
        return await self.rows(DeliveryRow)

    async def attempts(self) -> list[DeliveryAttemptRow]:
        return await self.rows(DeliveryAttemptRow)

    async def one(self, table: type[Any], row_id: str) -> Any:
        async with self.kit.database.snapshot() as session:
            return await session.get_one(table, row_id)

    async def target_of(self, owner_id: str) -> TargetRow:
        [row] = [each for each in await self.rows(TargetRow) if each.owner_id == owner_id]
        found: TargetRow = row
        return found


@asynccontextmanager
async def watching(tower: Tower) -> AsyncIterator[str]:
    """The tower's own worker; its task queue."""
    kit = tower.kit
    queue = watch_queue(kit.task_queue)
    activities: list[Callable[..., Any]] = [tower.watching.watch, tower.deliveries.deliver]
    async with Worker(
        kit.temporal, task_queue=queue, workflows=[WatchWorkflow, DeliverWorkflow], activities=activities
    ):
        yield queue
