"""Executions that wait for a connection: the ledger says so, and they are told when it works again."""

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.connections import ConnectionStatus
from domain.executions import WAITING_CONNECTION
from domain.messages import CONNECTION_SIGNAL, WaitInput
from runtime.clock import utcnow
from store.connections import Connections
from store.engine import Database
from store.waiting import WaitingExecutions


class WaitActivities:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def wait_for_connection(self, message: WaitInput) -> bool:
        """Whether the execution waits: the connection does not work yet. False, and it goes on.

        A connection that needs a person is not asked before one has come; one whose target refused a good token may
        work again by itself, which only a try can tell.
        """
        async with self._database.transaction() as session:
            row = await Connections(session).get(message.connection_id)
            status = row.status if row is not None else ConnectionStatus.ACTIVE  # deleted: the step says so
            works = status == ConnectionStatus.ACTIVE or (message.probe and status == ConnectionStatus.ERROR)
            waits = not works and not message.over
            connection_id, reason = (message.connection_id, WAITING_CONNECTION) if waits else (None, None)
            await WaitingExecutions(session).wait(message.execution_id, connection_id, reason, utcnow())
        return waits


async def tell_waiting(client: Client, database: Database, limit: int) -> int:
    """Those whose connection works again, in their order. Repeated it tells only who waits again."""
    async with database.snapshot() as session:
        ready = await WaitingExecutions(session).ready(ConnectionStatus.ACTIVE, limit)
    for waiter in ready:
        try:
            await client.get_workflow_handle(waiter.workflow_id or waiter.execution_id).signal(CONNECTION_SIGNAL)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:  # ended behind our back: upkeep sees to it
                raise
    if ready:
        async with database.transaction() as session:
            await WaitingExecutions(session).told([waiter.execution_id for waiter in ready])
    return len(ready)
