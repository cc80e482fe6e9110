"""What an instance's events say of its deploy- and remove-trigger flows: that one has failed."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from activities.outbox import announce_event
from domain.executions import TriggerKind
from store.events import Events
from store.executions import Moved
from store.instance_flows import InstanceFlows
from store.tables import EventRow, ExecutionRow

MANAGEMENT = {TriggerKind.DEPLOY: "instance.deploy_flow_failed", TriggerKind.REMOVE: "instance.remove_flow_failed"}
PRINCIPAL = "flowgraft"


async def note_failure(session: AsyncSession, row: ExecutionRow | Moved, code: str, at: datetime) -> None:
    """Once for each execution; of other triggers' executions nothing is noted, nor of tests."""
    action = MANAGEMENT.get(TriggerKind(row.trigger))
    if action is None or row.is_test:
        return
    keys = await InstanceFlows(session).keys_of(row.instance_flow_id)
    values = {
        "id": row.id.replace("exec_", "evt_", 1),
        "at": at,
        "principal": PRINCIPAL,
        "action": action,
        "object_id": row.instance_id,
        "instance_id": row.instance_id,
        "customer_id": row.customer_id,
        "details": {"flow": keys.flow, "execution_id": row.id, "code": code},
    }
    if await Events(session).add_once(values):
        announce_event(session, EventRow(**values))
